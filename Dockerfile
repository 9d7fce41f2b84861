# The desk in a container. Every step is in docker/steps.sh, which also runs without an engine.
FROM python:3.11-slim

WORKDIR /opt/source
COPY requirements requirements
COPY docker docker
RUN docker/steps.sh environment /opt/desk
COPY . .
RUN docker/steps.sh application /opt/desk
RUN docker/steps.sh user desk /var/lib/desk

USER desk
WORKDIR /opt/desk/app
ENV PATH=/opt/desk/venv/bin:$PATH PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
VOLUME /var/lib/desk
HEALTHCHECK --interval=60s --timeout=20s --start-period=30s CMD ["python", "-m", "bot", "doctor"]
ENTRYPOINT ["python", "-m", "bot"]
