"""``python -m inferlog_server``: start the service."""

import sys

try:
    from inferlog_server.main import main
except ModuleNotFoundError as error:
    if error.name is None or error.name.startswith("inferlog"):
        raise
    sys.exit(f"inferlog_server: the package {error.name} is not installed; it belongs to the extra: inferlog[server]")

if __name__ == "__main__":
    sys.exit(main())
