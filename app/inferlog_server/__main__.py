"""``python -m inferlog_server``: start the service."""

import sys

from inferlog_server.main import main

if __name__ == "__main__":
    sys.exit(main())
