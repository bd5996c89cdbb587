"""Starts, stops and looks at the embedded engine of one home."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import IO

from inferlog_ops.engine import blueprint, disk, layout, presence
from inferlog_ops.engine.presence import RunningEngine
from inferlog_ops.engine.process import Order
from inferlog_ops.errors import OperatorError
from inferlog_ops.home import cache_dir

DEFAULT_HEAP = "1g"

_START_TIMEOUT_SECONDS = 180.0
_STOP_TIMEOUT_SECONDS = 30.0
_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_BETWEEN_LINES = 2.0
_LOG_KEPT_BYTES = 5_000_000
# Java's and Elasticsearch's environment would change which code runs and how.
_FOREIGN_ENVIRONMENT = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """
    What is to be seen of a home's engine.

    Attributes:
        engine: Where it answers; None if none runs or it is still starting.
        starting: A process holds the home and does not answer yet.
        size_bytes: What its files take on the disk, jars included.
    """

    engine: RunningEngine | None
    starting: bool
    size_bytes: int


def start(
    engine_home: Path,
    port: int = 0,
    on_progress: Callable[[str], None] = lambda _: None,
    *,
    heap: str = DEFAULT_HEAP,
) -> RunningEngine:
    """
    Start an engine on *engine_home* and return when it answers; it goes on running after this process.

    Args:
        engine_home: Its directory, made if it is not there.
        port: Port on 127.0.0.1; 0 takes any free one.
        on_progress: Is told what is being waited for, about once a second.
        heap: The most memory for Java objects: ``512m``, ``1g``.

    Raises:
        OperatorError: If the home or the port is in use, the disk too full, a jar not the locked one or not to be
            had, or the engine does not come up.
    """
    if not re.fullmatch(r"[0-9]+[mMgG]", heap):
        raise OperatorError(f"the engine's heap is {heap!r}; expected a size such as 512m or 1g", exit_code=2)
    engine_home = engine_home.absolute()
    try:
        for folder in (engine_home, engine_home / "config", engine_home / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(
            f"{engine_home}: cannot be made ({error.strerror}); choose another directory with --home"
        ) from error
    with presence.held(engine_home) as lock:
        if lock is None:
            raise _in_use(engine_home)
        presence.withdraw(engine_home)
        _require_free_port(port)
        _check_room(engine_home, on_progress)
        layout.prepare(blueprint.load(), engine_home, cache_dir() / "jars", on_progress)
        order = Order(engine_home=engine_home, port=port, heap=heap, lock_descriptor=lock.fileno())
        return _launch(order, lock, on_progress)


def stop(engine_home: Path, on_progress: Callable[[str], None] = lambda _: None) -> bool:
    """
    Stop the engine of *engine_home*; return whether there was one.

    Raises:
        OperatorError: If it belongs to another user, or has not ended within 30 seconds.
    """
    if not presence.is_held(engine_home):
        return False
    pid = presence.holder_pid(engine_home)
    if pid is None:
        raise OperatorError(f"{engine_home}: another command is just starting an engine here; try again")
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    except PermissionError as error:
        raise OperatorError(f"the engine on {engine_home} (pid {pid}) belongs to another user") from error
    on_progress(f"stopping the engine (pid {pid})")
    deadline = monotonic() + _STOP_TIMEOUT_SECONDS
    while presence.is_held(engine_home):
        if monotonic() >= deadline:
            raise OperatorError(
                f"the engine (pid {pid}) has not ended {_STOP_TIMEOUT_SECONDS:.0f} s after it was asked to; "
                f"its log: {log_file(engine_home)}; kill -9 {pid} ends it and loses no acknowledged event"
            )
        sleep(_SECONDS_BETWEEN_LOOKS)
    return True


def status(engine_home: Path) -> EngineStatus:
    """Look at the engine of *engine_home*. Changes nothing."""
    engine = presence.published(engine_home)
    return EngineStatus(
        engine=engine,
        starting=engine is None and presence.is_held(engine_home),
        size_bytes=disk.used_bytes(engine_home),
    )


def running_url(engine_home: Path) -> str | None:
    """Return where the engine of *engine_home* answers, None if none runs."""
    engine = presence.published(engine_home)
    return engine.url if engine else None


def log_file(engine_home: Path) -> Path:
    """Everything that the engine's process says."""
    return engine_home / "logs/engine.log"


def _in_use(engine_home: Path) -> OperatorError:
    if engine := presence.published(engine_home):
        return OperatorError(
            f"{engine_home} is in use by the engine with pid {engine.pid}, which answers at {engine.url}; "
            "use that one, stop it with inferlog engine stop, or choose another directory with --home"
        )
    return OperatorError(
        f"{engine_home} is in use: an engine is just being started or stopped on it; wait for it, or choose another "
        "directory with --home"
    )


def _require_free_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "there is no such port"
            raise OperatorError(
                f"port {port} on 127.0.0.1 cannot be used: {reason}; "
                "give another with --port, or --port 0 for any free one"
            ) from error


def _check_room(engine_home: Path, say: Callable[[str], None]) -> None:
    if not (engine_home / "data").exists():
        disk.require_room(engine_home)
    elif (free := disk.free_bytes(engine_home)) < disk.NEEDED_BYTES:
        # Refusing would keep a full home's events from being read and pruned.
        say(
            f"{engine_home}: only {disk.readable(free)} are free on this disk, and below 1.1 GB the engine takes "
            "no more events: make room, inferlog engine prune removes old events"
        )


def _launch(order: Order, lock: IO[bytes], say: Callable[[str], None]) -> RunningEngine:
    log_path = log_file(order.engine_home)
    if log_path.exists() and log_path.stat().st_size > _LOG_KEPT_BYTES:
        log_path.replace(log_path.with_suffix(".log.1"))
    with log_path.open("ab") as log:
        log_begins_at = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "inferlog_ops.engine.process", *order.arguments()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=order.engine_home,
            env={name: value for name, value in os.environ.items() if name not in _FOREIGN_ENVIRONMENT},
            pass_fds=[lock.fileno()],
            # Of a session of its own: Ctrl-C and a closed terminal do not reach it.
            start_new_session=True,
        )
    presence.note_holder(lock, process.pid)
    try:
        return _wait_until_ready(process, order.engine_home, log_begins_at, say)
    except BaseException:
        process.kill()
        process.wait()
        raise


def _wait_until_ready(
    process: subprocess.Popen[bytes], engine_home: Path, log_begins_at: int, say: Callable[[str], None]
) -> RunningEngine:
    began = said = monotonic()
    say("starting the engine")
    while True:
        if engine := presence.published(engine_home):
            return engine
        if (code := process.poll()) is not None:
            how = f"with status {code}" if code >= 0 else f"by signal {signal.Signals(-code).name}"
            raise OperatorError(
                f"the engine ended {how} while it started: {_last_error(engine_home, log_begins_at)}; "
                f"its log: {log_file(engine_home)}"
            )
        waited = monotonic() - began
        if waited >= _START_TIMEOUT_SECONDS:
            raise OperatorError(
                f"the engine does not answer after {waited:.0f} s and was ended; its log: {log_file(engine_home)}"
            )
        if monotonic() - said >= _SECONDS_BETWEEN_LINES:
            said = monotonic()
            say(f"starting the engine, {waited:.0f} s so far")
        sleep(_SECONDS_BETWEEN_LOOKS)


def _last_error(engine_home: Path, log_begins_at: int) -> str:
    with log_file(engine_home).open("rb") as log:
        log.seek(log_begins_at)
        lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    telling = [line for line in lines if re.search(r"error|exception|fatal|cannot|^engine:", line, re.IGNORECASE)]
    last = [line for line in telling if not line.startswith("at ")][-2:] or lines[-1:]
    return " / ".join(line[:300] for line in last) or "it said nothing"
