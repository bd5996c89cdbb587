"""Runs the service on a socket until it is told to stop: in this process, or in several under it."""

import functools
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from inferlog_server.app import create_app
from inferlog_server.connection import PunctualConnection
from inferlog_server.errors import StartError
from inferlog_server.ready_file import ReadyFile, ready_file
from inferlog_server.settings import Settings

_BACKLOG_CONNECTIONS = 2048
# A worker that loads its model answers nobody, its supervisor included.
_WORKER_SILENCE_SECONDS = 120


def serve(settings: Settings) -> None:
    """
    Serve until SIGTERM or SIGINT, let open requests finish, and end the process with status 0.

    Raises:
        StartError: If the address cannot be listened on, or the service not be put together.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with _listener(settings.host, settings.port) as listener, ready_file(settings.ready_file) as ready:
        on_start = functools.partial(_announce, _url(listener), ready)
        if settings.workers == 1:
            _serve_here(settings, listener, on_start)
        else:
            _serve_in_workers(settings, listener, on_start)


def _serve_here(settings: Settings, listener: socket.socket, on_start: Callable[[], None]) -> None:
    app = create_app(settings, on_start=on_start)
    uvicorn.Server(uvicorn.Config(app, **_options(settings))).run([listener])


def _serve_in_workers(settings: Settings, listener: socket.socket, on_start: Callable[[], None]) -> None:
    config = uvicorn.Config(
        functools.partial(_worker_app, settings, on_start),
        factory=True,
        workers=settings.workers,
        timeout_worker_healthcheck=_WORKER_SILENCE_SECONDS,
        **_options(settings),
    )
    supervisor = _Supervisor(config, [listener])
    supervisor.run()
    if any(worker.exitcode == STARTUP_FAILURE for worker in supervisor.processes):
        raise StartError("a worker could not start, for the reason above")


class _Supervisor(Multiprocess):
    """
    Notices at once that a worker has ended.

    uvicorn's own keeps the worker's end of their pipe open too, and so waits for an answer that cannot come as long as
    it would for a worker that is loading.
    """

    def init_processes(self) -> None:
        super().init_processes()
        self._let_go_of_their_ends()

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        self._let_go_of_their_ends()  # those of workers that have just been started in place of others

    def _let_go_of_their_ends(self) -> None:
        for worker in self.processes:
            worker.child_conn.close()


def _worker_app(settings: Settings, on_start: Callable[[], None]) -> FastAPI:
    """Make a worker's service, or end with the status after which the supervisor does not try again."""
    try:
        return create_app(settings, on_start=on_start)
    except StartError as error:
        print(f"inferlog_server: {error}", file=sys.stderr)  # noqa: T201 (for whoever started it)
        sys.exit(STARTUP_FAILURE)


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "log_config": None,  # uvicorn's lines go where inferlog.configure() sends all others
        "log_level": "warning",
        "access_log": False,
        "http": functools.partial(PunctualConnection, head_timeout_seconds=settings.head_timeout_seconds),
        "ws": "none",  # nothing here speaks WebSocket
        "timeout_graceful_shutdown": settings.shutdown_timeout_seconds,
    }


def _end(_: int, __: FrameType | None) -> NoReturn:
    """End with status 0. While requests are served uvicorn holds the signal, and raises it again at the end."""
    sys.exit(0)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG_CONNECTIONS)
    except OSError as error:
        # Its own text repeats the address, unless the host's name could not be looked up.
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise StartError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --port, or 0 for any that is free"
        ) from None
    # Connections inherit it. asyncio sets it only on sockets made with an explicit protocol number, and
    # without it a response, which is sent in two parts, waits 40 ms for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    # Nobody can connect to a wildcard; it includes the loopback address.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(url: str, ready: ReadyFile | None) -> None:
    print(f"inferlog_server: answers on {url}", file=sys.stderr)  # noqa: T201 (for whoever started it)
    if ready is not None:
        ready.write(url)
