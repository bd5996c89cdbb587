"""Server process of the page, on 127.0.0.1 until SIGINT or SIGTERM."""

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
from inferlog_ops.core.files import replace_file
from inferlog_ops.preview.address import HOST
from inferlog_ops.preview.app import create_app

_SHUTDOWN_SECONDS = 2


def serve(cluster: Cluster, *, port: int, ready_file: Path | None, on_ready: Callable[[str], None]) -> None:
    """
    Serve the page for *cluster* on 127.0.0.1 until SIGINT or SIGTERM; then exit with status 0.

    Args:
        cluster: Source of the figures.
        port: 0 selects a free port.
        ready_file: File with ``{"url", "pid"}`` while the page is available; None for no file.
        on_ready: Called with the page's address when it is available.

    Raises:
        OperatorError: If the port is in use, or the file cannot be written.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with _open_listener(port) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            create_app(cluster),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        with _write_ready_file(ready_file, url):
            on_ready(url)  # the socket already accepts connections
            uvicorn.Server(config).run([listener])


def _open_listener(port: int) -> socket.socket:
    try:
        listener = socket.create_server((HOST, port), backlog=128)
    except OSError as error:
        raise OperatorError(
            f"cannot listen on {HOST} port {port}: {os.strerror(error.errno or 0)}; "
            "choose another port with --port, or 0 for a free one"
        ) from None
    # Inherited by connections; without it a response, which is sent in two parts, waits 40 ms for a TCP ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


@contextmanager
def _write_ready_file(ready_file: Path | None, url: str) -> Iterator[None]:
    """Write *ready_file* atomically, and delete it at the end of the block."""
    if ready_file is None:
        yield
        return
    content = json.dumps({"url": url, "pid": os.getpid()}) + "\n"
    try:
        replace_file(ready_file, content.encode(), durable=False)
    except OSError as error:
        raise OperatorError(
            f"ready file {ready_file} cannot be written: {error.strerror}; choose a writable path with --ready-file"
        ) from None
    try:
        yield
    finally:
        ready_file.unlink(missing_ok=True)


def _end(_: int, __: FrameType | None) -> NoReturn:
    """Exit with status 0. While serving, uvicorn handles the signal and raises it again at the end."""
    sys.exit(0)
