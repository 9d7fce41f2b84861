#!/bin/sh
# The steps of the image, the same with or without a container engine:
#   docker/steps.sh environment PREFIX    PREFIX/venv from the base lock, hashes required
#   docker/steps.sh application PREFIX    PREFIX/app: the product's files
#   docker/steps.sh user NAME FOLDER      a user without rights or shell, whose home is the data FOLDER (root only)
set -eu
cd "$(dirname "$0")/.."

environment() {
    mkdir -p "$1"
    requirements/install.sh "$1/venv" requirements/base.txt
}

application() {
    mkdir -p "$1/app"
    for part in bot core prompts config.yaml; do
        if [ -e "$part" ]; then cp -R "$part" "$1/app/"; fi
    done
    "$1/venv/bin/python" -m compileall -q "$1/app/bot" "$1/app/core"
}

user() {
    useradd --system --user-group --home-dir "$2" --shell /usr/sbin/nologin "$1"
    install -d -o "$1" -g "$1" -m 0700 "$2"
}

step=$1
shift
case $step in
    environment | application | user) "$step" "$@" ;;
    *) echo "unknown step: $step" >&2; exit 2 ;;
esac
