"""Entry point of ``python -m inferlog_setup``."""

import sys

from inferlog_setup.cli import run

if __name__ == "__main__":
    sys.exit(run())
