"""Serving: the socket, the worker processes, the connection timeout and the ready file of the service."""

import asyncio
import functools
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from inferlog_server.app import create_app
from inferlog_server.errors import StartError
from inferlog_server.settings import ServerSettings

_BACKLOG_CONNECTIONS = 2048
# A worker that loads its model does not answer health checks of its supervisor.
_WORKER_HEALTHCHECK_SECONDS = 120


@dataclass(frozen=True, slots=True)
class ReadyFile:
    """
    File with the address of the service, present while it accepts requests and written in one step.

    Attributes:
        path: Path of the file.
        pid: Process that stops the service on SIGTERM.
    """

    path: Path
    pid: int

    def write(self, url: str) -> None:
        """Write the file. Every worker does; all of them write the same content."""
        unfinished = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        unfinished.write_text(json.dumps({"url": url, "pid": self.pid}) + "\n", encoding="utf-8")
        unfinished.replace(self.path)


@contextmanager
def open_ready_file(path: Path | None) -> Iterator[ReadyFile | None]:
    """
    Yield the ready file of this process and remove it at the end. Removes the file of an earlier run first.

    Raises:
        StartError: If the path is not writable.
    """
    if path is None:
        yield None
        return
    path = path.absolute()
    if not os.access(path.parent, os.W_OK) or path.is_dir():
        raise StartError(f"ready file {path}: cannot be written; expected a file path in a writable directory")
    path.unlink(missing_ok=True)
    try:
        yield ReadyFile(path, os.getpid())
    finally:
        path.unlink(missing_ok=True)


class HeadTimeoutConnection(H11Protocol):
    """
    HTTP connection that is closed if the headers of a request take too long.

    uvicorn waits forever for the first request, and for a later one as long as bytes keep arriving: a client that
    opens many connections and sends almost nothing would hold all of them.

    Args:
        head_timeout_seconds: Time from the start of the connection, or the end of the last response, to the end of the
            next request's headers.
        uvicorn: Arguments of uvicorn's own connection class.
    """

    def __init__(self, *, head_timeout_seconds: float, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._head_timeout_seconds = head_timeout_seconds
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer for the first request."""
        super().connection_made(transport)
        self._wait_for_head()

    def on_response_complete(self) -> None:
        """Start the timer for the next request."""
        self._wait_for_head()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        self._cancel_head_timer()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._cancel_head_timer()
        self._head_timer = self.loop.call_later(self._head_timeout_seconds, self._close_if_idle)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()

    def _close_if_idle(self) -> None:
        # A request in progress has its own limits, and its end starts the next timer.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def serve(settings: ServerSettings) -> None:
    """
    Serve until SIGTERM or SIGINT, let open requests finish, and exit with status 0.

    Raises:
        StartError: If the address is not available, or the application cannot be created.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)
    with _open_listener(settings.host, settings.port) as listener, open_ready_file(settings.ready_file) as ready:
        on_start = functools.partial(_announce, _format_url(listener), ready)
        if settings.workers == 1:
            _serve_here(settings, listener, on_start)
        else:
            _serve_in_workers(settings, listener, on_start)


def _serve_here(settings: ServerSettings, listener: socket.socket, on_start: Callable[[], None]) -> None:
    app = create_app(settings, on_start=on_start)
    uvicorn.Server(uvicorn.Config(app, **_build_uvicorn_options(settings))).run([listener])


def _serve_in_workers(settings: ServerSettings, listener: socket.socket, on_start: Callable[[], None]) -> None:
    config = uvicorn.Config(
        functools.partial(_create_worker_app, settings, on_start),
        factory=True,
        workers=settings.workers,
        timeout_worker_healthcheck=_WORKER_HEALTHCHECK_SECONDS,
        **_build_uvicorn_options(settings),
    )
    supervisor = _Supervisor(config, [listener])
    supervisor.run()
    if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
        raise StartError("a worker could not start; its error is above")


class _Supervisor(Multiprocess):
    """
    Supervisor that detects the exit of a worker immediately.

    uvicorn's own supervisor keeps the worker's end of their pipe open. After a worker exits, it therefore waits for a
    reply as long as for a worker that is still loading.
    """

    def init_processes(self) -> None:
        super().init_processes()
        self._close_child_ends()

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        self._close_child_ends()  # those of replacement workers

    def _close_child_ends(self) -> None:
        for worker in self.processes:
            worker.child_conn.close()


def _create_worker_app(settings: ServerSettings, on_start: Callable[[], None]) -> FastAPI:
    """Create the application of a worker, or exit with the status that keeps the supervisor from restarting it."""
    try:
        return create_app(settings, on_start=on_start)
    except StartError as error:
        print(f"inferlog_server: {error}", file=sys.stderr)  # noqa: T201 (read by the person at the terminal)
        sys.exit(STARTUP_FAILURE)


def _build_uvicorn_options(settings: ServerSettings) -> dict[str, Any]:
    return {
        "log_config": None,  # inferlog.configure() routes uvicorn's log lines
        "log_level": "warning",
        "access_log": False,
        "http": functools.partial(HeadTimeoutConnection, head_timeout_seconds=settings.head_timeout_seconds),
        "ws": "none",  # no route uses WebSocket
        "timeout_graceful_shutdown": settings.shutdown_timeout_seconds,
    }


def _exit(_: int, __: FrameType | None) -> NoReturn:
    """Exit with status 0. While it serves, uvicorn holds the signal, and raises it again after its shutdown."""
    sys.exit(0)


def _open_listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG_CONNECTIONS)
    except OSError as error:
        # The message of any other OSError repeats the address.
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise StartError(
            f"cannot listen on {host} port {port}: {reason}; choose another port with --port, or 0 for any free one"
        ) from None
    # Connections inherit this option. asyncio sets it only on sockets created with an explicit protocol number.
    # Without it a response, which is sent in two parts, waits 40 ms for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _format_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    # A wildcard is not an address to connect to; it includes the loopback address.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(url: str, ready: ReadyFile | None) -> None:
    print(f"inferlog_server: listening on {url}", file=sys.stderr)  # noqa: T201 (read by the person at the terminal)
    if ready is not None:
        ready.write(url)
