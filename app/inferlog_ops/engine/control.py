"""Starts, stops and looks at the embedded engine of one home."""

import os
import re
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import cache_dir
from inferlog_ops.core.progress import Say, say_nothing
from inferlog_ops.engine import blueprint, disk, layout, presence
from inferlog_ops.engine.launch import START_TIMEOUT_SECONDS, launch, log_file, require_free_port
from inferlog_ops.engine.order import DEFAULT_HEAP, Order
from inferlog_ops.engine.presence import RunningEngine

_STOP_TIMEOUT_SECONDS = 30.0
_SECONDS_BETWEEN_LOOKS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """
    What is to be seen of a home's engine.

    Attributes:
        engine: Where it answers; None if it does not.
        changing: A process holds the home and does not answer: it is starting or stopping.
        size_bytes: What its files take on the disk, jars included.
    """

    engine: RunningEngine | None
    changing: bool
    size_bytes: int


def start(
    engine_home: Path,
    port: int = 0,
    on_progress: Say = say_nothing,
    *,
    heap: str = DEFAULT_HEAP,
    ends_with_us: bool = False,
) -> RunningEngine:
    """
    Start an engine on *engine_home* and return when it answers.

    Args:
        engine_home: Its directory, made if it is not there.
        port: Port on 127.0.0.1; 0 takes any free one.
        on_progress: Is told what is being waited for.
        heap: The most memory for Java objects: ``512m``, ``1g``.
        ends_with_us: It ends when this process ends, be it by SIGKILL; else it goes on running.

    Raises:
        OperatorError: If the home or the port is in use, the disk too full, a jar changed or not to be had, or the
            engine does not come up.
    """
    engine = _start_if_free(engine_home.absolute(), port, on_progress, heap=heap, ends_with_us=ends_with_us)
    if engine is None:
        raise _in_use(engine_home.absolute())
    return engine


def ensure_running(
    engine_home: Path, port: int = 0, on_progress: Say = say_nothing, *, heap: str = DEFAULT_HEAP
) -> RunningEngine:
    """
    Return the engine that answers on *engine_home*; start one if none does.

    An engine that another command is starting is waited for, and one that is stopping is started again.

    Args:
        engine_home: Its directory, made if it is not there.
        port: Port on 127.0.0.1; 0 accepts the port of a running engine, and otherwise takes any free one.
        on_progress: Is told what is being waited for.
        heap: The most memory for Java objects of an engine that is started here.

    Raises:
        OperatorError: If the running engine has another port, or for the reasons of `start`.
    """
    engine_home = engine_home.absolute()
    deadline = monotonic() + START_TIMEOUT_SECONDS
    while True:
        engine = presence.published(engine_home) or _start_if_free(engine_home, port, on_progress, heap=heap)
        if engine is not None:
            _require_port(engine_home, engine, port)
            return engine
        if monotonic() >= deadline:
            raise _in_use(engine_home)
        on_progress("waiting for the engine, which is starting or stopping")
        sleep(_SECONDS_BETWEEN_LOOKS)


def _start_if_free(
    engine_home: Path, port: int, on_progress: Say, *, heap: str, ends_with_us: bool = False
) -> RunningEngine | None:
    """Start an engine as `start` does; return None if another process holds *engine_home*."""
    if not re.fullmatch(r"[1-9][0-9]*[mMgG]", heap):
        raise OperatorError(f"the engine's heap is {heap!r}; expected a size such as 512m or 1g", exit_code=2)
    _make_folders(engine_home)
    with presence.held(engine_home) as lock:
        if lock is None:
            return None
        presence.withdraw(engine_home)
        require_free_port(port)
        _check_room(engine_home, on_progress)
        layout.prepare(blueprint.load(), engine_home, cache_dir() / "jars", on_progress)
        order = Order(
            engine_home=engine_home,
            port=port,
            heap=heap,
            lock_descriptor=lock,
            ends_with_pid=os.getpid() if ends_with_us else 0,
        )
        return launch(order, on_progress)


def stop(engine_home: Path, on_progress: Say = say_nothing) -> bool:
    """
    Stop the engine of *engine_home*; return whether there was one.

    Raises:
        OperatorError: If it is only about to start, belongs to another user, or has not ended within 30 seconds.
    """
    if not presence.is_held(engine_home):
        return False
    pid = presence.holder_pid(engine_home)
    if pid is None:
        raise OperatorError(f"{engine_home}: another command is about to start an engine here; stop that command")
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
                f"its log: {log_file(engine_home)}; kill -9 {pid} ends it, and no stored event is lost by that"
            )
        sleep(_SECONDS_BETWEEN_LOOKS)
    with suppress(ChildProcessError):
        # Only if this very process started it is it a child, and stays a zombie until asked for.
        os.waitpid(pid, 0)
    return True


def status(engine_home: Path) -> EngineStatus:
    """Look at the engine of *engine_home*. Changes nothing."""
    engine = presence.published(engine_home)
    return EngineStatus(
        engine=engine,
        changing=engine is None and presence.is_held(engine_home),
        size_bytes=disk.used_bytes(engine_home),
    )


def running_url(engine_home: Path) -> str | None:
    """Return where the engine of *engine_home* answers, None if it does not."""
    engine = presence.published(engine_home)
    return engine.url if engine else None


def _make_folders(engine_home: Path) -> None:
    try:
        for folder in (engine_home, engine_home / "config", engine_home / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(
            f"{engine_home} cannot be made: {error.strerror}; choose another directory with --home"
        ) from error


def _in_use(engine_home: Path) -> OperatorError:
    if engine := presence.published(engine_home):
        return OperatorError(
            f"{engine_home} is in use by the engine with pid {engine.pid}, which answers at {engine.url}: "
            "use that one, stop it with inferlog engine stop, or choose another directory with --home"
        )
    return OperatorError(
        f"{engine_home} is in use by an engine that is just starting or stopping: "
        "wait for it, or choose another directory with --home"
    )


def _require_port(engine_home: Path, engine: RunningEngine, port: int) -> None:
    if port and urlsplit(engine.url).port != port:
        raise OperatorError(
            f"the engine on {engine_home} (pid {engine.pid}) answers at {engine.url}, and port {port} was asked for: "
            "use that address, or stop it first with inferlog engine stop"
        )


def _check_room(engine_home: Path, say: Say) -> None:
    if not (engine_home / "data").exists():
        disk.require_room(engine_home)
    elif (free := disk.free_bytes(engine_home)) < disk.NEEDED_BYTES:
        # Refusing would keep the events there from being read, and from being pruned.
        say(
            f"{engine_home}: only {disk.readable(free)} are free on this disk, and below 1.1 GB the engine takes no "
            "more events: make room, for instance with inferlog engine prune"
        )
