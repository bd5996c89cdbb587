"""One of the observed services under uvicorn; its name, directory and ready file are the arguments."""

import socket
import sys
from pathlib import Path

import uvicorn

from benchmarks.observed_apps import APPS
from inferlog_server.serving import open_ready_file


def main() -> None:
    name, directory, ready_file = sys.argv[1:]
    with (
        socket.create_server(("127.0.0.1", 0), backlog=512) as listener,
        open_ready_file(Path(ready_file)) as ready,
    ):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app = APPS[name](Path(directory)).app
        if ready:
            ready.write("http://{}:{}".format(*listener.getsockname()))
        uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="warning", access_log=False)).run([listener])


if __name__ == "__main__":
    main()
