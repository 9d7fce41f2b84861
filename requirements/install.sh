#!/bin/sh
# Usage: requirements/install.sh VENV LOCK...
# Makes VENV with the standard library and installs the locks, hashes required. A second run with the same locks does nothing.
# PYTHON=... names the interpreter; otherwise the first of the usual names that is 3.11+ and can really make an environment.
set -eu

venv=$1
shift

say() { printf '%s\n' "$*" >&2; }

# Being on the path is not enough: a version manager's shim may stand there without its Python, and some systems ship Python without ensurepip.
fits() {
    "$1" -c 'import sys, venv, ensurepip; ensurepip.version(); sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1
}

make_venv() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        if fits "$candidate" && "$candidate" -m venv --clear "$venv" </dev/null >/dev/null 2>&1; then
            say "environment: $venv, from $("$venv/bin/python" -V)"
            return 0
        fi
    done
    say "No usable Python found (tried: ${PYTHON:-python3.13 python3.12 python3.11 python3})."
    say "The desk needs Python 3.11 or newer with its venv module (on Debian and Ubuntu: apt install python3-venv)."
    say "If yours has another name or place: make PYTHON=/path/to/python3"
    return 1
}

# The stamp is a copy of the lock as it was installed: any changed byte installs again.
installed() {
    for lock in "$@"; do
        cmp -s "$lock" "$venv/.installed/$(basename "$lock")" || return 1
    done
}

"$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || make_venv
if installed "$@"; then exit 0; fi

options=
for lock in "$@"; do options="$options -r $lock"; done
say "installing $* (first time or changed lock; a minute or two)"
# shellcheck disable=SC2086 - $options is a list of words on purpose; lock names hold no spaces
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes $options </dev/null
mkdir -p "$venv/.installed"
for lock in "$@"; do cp "$lock" "$venv/.installed/"; done
