"""Serves the page on this machine until it is told to stop."""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.preview.address import HOST
from inferlog_ops.preview.app import create_app

_SHUTDOWN_SECONDS = 2


def serve(cluster: Cluster, *, port: int, ready_file: Path | None, on_ready: Callable[[str], None]) -> None:
    """
    Serve the page about *cluster* on 127.0.0.1 until SIGINT or SIGTERM, which end the process with status 0.

    Args:
        cluster: Whose figures are shown.
        port: 0 takes any free one.
        ready_file: Holds ``{"url", "pid"}`` while the page answers; None = no such file.
        on_ready: Called with the page's address once it can be opened.

    Raises:
        OperatorError: If the port is in use, or the file cannot be written.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with _listener(port) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(cluster),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        with _announced(ready_file, url):
            on_ready(url)  # the socket takes connections already
            uvicorn.Server(config).run([listener])


def _listener(port: int) -> socket.socket:
    try:
        listener = socket.create_server((HOST, port), backlog=128)
    except OSError as error:
        raise OperatorError(
            f"cannot listen on {HOST} port {port}: {os.strerror(error.errno or 0)}; "
            "choose another with --port, or 0 for any that is free"
        ) from None
    # Connections inherit it; without it an answer, which is sent in two parts, waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextmanager
def _announced(ready_file: Path | None, url: str) -> Iterator[None]:
    """Keep *ready_file* there while the block runs. Whoever reads it sees all of it or nothing."""
    if ready_file is None:
        yield
        return
    unfinished = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
    try:
        unfinished.write_text(json.dumps({"url": url, "pid": os.getpid()}) + "\n", encoding="utf-8")
        unfinished.replace(ready_file)
    except OSError as error:
        raise OperatorError(
            f"ready file {ready_file} cannot be written: {error.strerror}; give --ready-file a path that can"
        ) from None
    try:
        yield
    finally:
        ready_file.unlink(missing_ok=True)


def _end(_: int, __: FrameType | None) -> NoReturn:
    """End with status 0. While requests are served uvicorn holds the signal, and raises it again at the end."""
    sys.exit(0)
