# shellcheck shell=sh
# Sourced by the scripts: sets `root` and defines `set_up`, which installs the lock files into .venv.

root=$(CDPATH="" cd -- "$(dirname -- "$0")/.." && pwd)

fail() {
    printf 'inferlog: %s\n' "$1" >&2
    exit 1
}

find_python() {
    if [ -n "${INFERLOG_PYTHON:-}" ]; then
        set -- "$INFERLOG_PYTHON"
    else
        set -- python3 python3.14 python3.13 python3.12 python3.11 python
    fi
    for candidate in "$@"; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    found=$("$1" --version 2>&1) || found="no Python"
    fail "$1 is $found; Python 3.11 or newer is needed: install it, or set INFERLOG_PYTHON=/path/to/python3.11"
}

# Sets up .venv for running (no argument) or for developing (--dev). Prints nothing if it is up to date.
set_up() {
    python=$(find_python) || exit 1
    "$python" "$root/scripts/lib/set_up.py" "$@" || exit $?
}
