"""Start, stop and status of the embedded engine of one home."""

import os
import re
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from inferlog_ops.core.console import format_bytes
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import find_cache_dir
from inferlog_ops.core.progress import ReportProgress, ignore_progress
from inferlog_ops.core.wait import poll
from inferlog_ops.engine import blueprint, disk, layout, presence
from inferlog_ops.engine.launch import (
    DEFAULT_HEAP,
    START_TIMEOUT_SECONDS,
    LaunchOrder,
    find_log_file,
    launch,
    require_free_port,
)
from inferlog_ops.engine.presence import RunningEngine

_STOP_TIMEOUT_SECONDS = 30.0
_SECONDS_BETWEEN_POLLS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """
    State of the engine of a home.

    Attributes:
        engine: Its address and process; None if it does not answer.
        changing: True while it is starting or stopping: a process holds the home and does not answer.
        size_bytes: Disk usage of its files, including jars.
    """

    engine: RunningEngine | None
    changing: bool
    size_bytes: int


def start(
    engine_home: Path,
    port: int = 0,
    report: ReportProgress = ignore_progress,
    *,
    heap: str = DEFAULT_HEAP,
    ends_with_us: bool = False,
) -> RunningEngine:
    """
    Start an engine on *engine_home* and return when it answers.

    Args:
        engine_home: Its directory, created if missing.
        port: Port on 127.0.0.1; 0 = any free port.
        report: Receives progress lines.
        heap: Maximum Java heap: ``512m``, ``1g``.
        ends_with_us: Stop the engine when this process ends, even by SIGKILL; otherwise it keeps running.

    Raises:
        OperatorError: If the home or the port is in use, the disk is too full, a jar has changed or is not available,
            or the engine does not start.
    """
    engine = _start_if_free(engine_home.absolute(), port, report, heap=heap, ends_with_us=ends_with_us)
    if engine is None:
        raise _build_in_use_error(engine_home.absolute())
    return engine


def ensure_running(
    engine_home: Path, port: int = 0, report: ReportProgress = ignore_progress, *, heap: str = DEFAULT_HEAP
) -> RunningEngine:
    """
    Return the engine that answers on *engine_home*; start one if none does.

    Waits for an engine that another command is starting, and restarts one that is stopping.

    Args:
        engine_home: Its directory, created if missing.
        port: Port on 127.0.0.1; 0 accepts the port of a running engine, otherwise any free port.
        report: Receives progress lines.
        heap: Maximum Java heap of an engine that is started here.

    Raises:
        OperatorError: If the running engine has another port, or as `start`.
    """
    engine_home = engine_home.absolute()
    for _ in poll(timeout_seconds=START_TIMEOUT_SECONDS, interval_seconds=_SECONDS_BETWEEN_POLLS):
        engine = presence.find_running(engine_home) or _start_if_free(engine_home, port, report, heap=heap)
        if engine is not None:
            _require_port(engine_home, engine, port)
            return engine
        report("waiting for the engine, which is starting or stopping")
    raise _build_in_use_error(engine_home)


def _start_if_free(
    engine_home: Path, port: int, report: ReportProgress, *, heap: str, ends_with_us: bool = False
) -> RunningEngine | None:
    """Start an engine like `start`; return None if another process holds *engine_home*."""
    if not re.fullmatch(r"[1-9][0-9]*[mMgG]", heap):
        raise OperatorError(f"the engine's heap is {heap!r}; expected a size such as 512m or 1g", exit_code=2)
    _create_folders(engine_home)
    with presence.hold(engine_home) as lock:
        if lock is None:
            return None
        presence.withdraw(engine_home)
        require_free_port(port)
        _check_room(engine_home, report)
        layout.prepare(blueprint.load(), engine_home, find_cache_dir() / "jars", report)
        order = LaunchOrder(
            engine_home=engine_home,
            port=port,
            heap=heap,
            lock_descriptor=lock,
            ends_with_pid=os.getpid() if ends_with_us else 0,
        )
        return launch(order, report)


def stop(engine_home: Path, report: ReportProgress = ignore_progress) -> bool:
    """
    Stop the engine of *engine_home* and return whether one was running.

    Raises:
        OperatorError: If it has not been spawned yet, belongs to another user, or is still running after 30 seconds.
    """
    if not presence.is_held(engine_home):
        return False
    pid = presence.read_holder_pid(engine_home)
    if pid is None:
        raise OperatorError(f"{engine_home}: another command is starting an engine here; stop that command")
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return True
    except PermissionError as error:
        raise OperatorError(f"the engine on {engine_home} (pid {pid}) belongs to another user") from error
    report(f"stopping the engine (pid {pid})")
    for _ in poll(timeout_seconds=_STOP_TIMEOUT_SECONDS, interval_seconds=_SECONDS_BETWEEN_POLLS):
        if not presence.is_held(engine_home):
            break
    else:
        raise OperatorError(
            f"the engine (pid {pid}) is still running {_STOP_TIMEOUT_SECONDS:.0f} s after SIGTERM; "
            f"its log: {find_log_file(engine_home)}; end it with kill -9 {pid}: stored events are kept"
        )
    with suppress(ChildProcessError):
        # If this process started the engine, it is a child and remains a zombie until it is waited for.
        os.waitpid(pid, 0)
    return True


def read_status(engine_home: Path) -> EngineStatus:
    engine = presence.find_running(engine_home)
    return EngineStatus(
        engine=engine,
        changing=engine is None and presence.is_held(engine_home),
        size_bytes=disk.measure_usage(engine_home),
    )


def find_running_url(engine_home: Path) -> str | None:
    """Return the URL of the engine of *engine_home*; None if it does not answer."""
    engine = presence.find_running(engine_home)
    return engine.url if engine else None


def _create_folders(engine_home: Path) -> None:
    try:
        for folder in (engine_home, engine_home / "config", engine_home / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(
            f"{engine_home} cannot be created: {error.strerror}; choose another directory with --home"
        ) from error


def _build_in_use_error(engine_home: Path) -> OperatorError:
    if engine := presence.find_running(engine_home):
        return OperatorError(
            f"{engine_home} is in use by the engine with pid {engine.pid} at {engine.url}: "
            "use that one, stop it with inferlog engine stop, or choose another directory with --home"
        )
    return OperatorError(
        f"{engine_home} is in use by an engine that is starting or stopping: "
        "wait for it, or choose another directory with --home"
    )


def _require_port(engine_home: Path, engine: RunningEngine, port: int) -> None:
    if port and urlsplit(engine.url).port != port:
        raise OperatorError(
            f"the engine on {engine_home} (pid {engine.pid}) answers at {engine.url}, not on port {port}: "
            "use that address, or stop it first with inferlog engine stop"
        )


def _check_room(engine_home: Path, report: ReportProgress) -> None:
    if not (engine_home / "data").exists():
        disk.require_room(engine_home)
    elif (free := disk.measure_free_bytes(engine_home)) < disk.NEEDED_BYTES:
        # The start must succeed: without it the events could neither be read nor pruned.
        report(
            f"{engine_home}: only {format_bytes(free)} are free on this disk, and below 1.1 GB the engine "
            "rejects new events: make room, for instance with inferlog engine prune"
        )
