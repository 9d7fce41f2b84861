# make run starts the desk; make test, lint, bench, sim and fuzz check it. Each makes its own environment in .venv first.
# make run FAST=1 adds the compiled pricing. make accuracy DESK_REAL_DATA=DIR writes docs/accuracy.md anew.
# make bench BENCH="store growth" measures only those, and growth up to a million events.
# make fuzz feeds a million malformed inputs to all ports; SEED=1 INPUTS=50000 PORT="halt file" so many to that one.
# make years YEARS=10 trades ten years on the simulated market and works them out a second time from plain files.
# PYTHON=python3.12 picks an interpreter, ARGS="do status" goes to `python -m bot`, PYTEST_ARGS="-n 2 tests/unit" to pytest.
export OMP_NUM_THREADS := 1
export OMP_WAIT_POLICY := passive
export PYTHON

VENV := .venv
BIN := $(VENV)/bin
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links
PYTEST_ARGS ?= -n 4 --dist worksteal
SEED ?=
BENCH ?=
STEPS ?=
JOBS ?=
INPUTS ?=
PORT ?=
MUTANTS ?=
CYCLES ?= 500
YEARS ?= 1
SEEDS ?= 1

.PHONY: run test lint bench accuracy sim years fuzz mutants lock clean venv venv-dev

run: venv
	@$(BIN)/python -m bot $(ARGS)

test: venv-dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: venv-dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py
	$(BIN)/python -m core.plugins

bench: venv-dev
	$(BIN)/python -m tests.bench $(BENCH)

accuracy: venv-dev
	$(BIN)/python -m tests.accuracy

sim: venv-dev
	$(BIN)/python -m tests.sim $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS)) $(if $(JOBS),--jobs $(JOBS))
	$(if $(filter 0,$(CYCLES)),,$(BIN)/python -m tests.blackbox --cycles $(CYCLES) $(if $(SEED),--seed $(SEED)))

years: venv-dev
	$(BIN)/python -m tests.years --years $(YEARS) --seeds $(SEEDS) $(if $(SEED),--seed $(SEED))

fuzz: venv-dev
	$(BIN)/python -m tests.fuzz $(if $(SEED),--seed $(SEED)) $(if $(INPUTS),--inputs $(INPUTS)) $(if $(PORT),--port "$(PORT)") $(if $(JOBS),--jobs $(JOBS))

mutants: venv-dev
	$(BIN)/python -m tests.mutants $(MUTANTS)

venv:
	@requirements/install.sh $(VENV) requirements/base.txt $(if $(FAST),requirements/fast.txt)

venv-dev:
	@requirements/install.sh $(VENV) requirements/base.txt requirements/dev.txt requirements/fast.txt requirements/postgres.txt

# Needs uv on the path. Versions already locked are kept unless UPGRADE=--upgrade.
lock:
	$(LOCK) $(UPGRADE) requirements/base.in -o requirements/base.txt
	$(LOCK) $(UPGRADE) requirements/dev.in -o requirements/dev.txt
	$(LOCK) $(UPGRADE) requirements/fast.in -o requirements/fast.txt
	$(LOCK) $(UPGRADE) requirements/postgres.in -o requirements/postgres.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find core bot tests -name __pycache__ -type d -prune -exec rm -rf {} +
