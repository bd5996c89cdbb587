"""Starts the engine's process, detached, and waits until it answers or has died."""

import os
import re
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say
from inferlog_ops.engine import presence
from inferlog_ops.engine.order import Order
from inferlog_ops.engine.presence import RunningEngine

START_TIMEOUT_SECONDS = 180.0
_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_BETWEEN_LINES = 2.0
_LOG_KEPT_BYTES = 5_000_000
_WORDS_KEPT_CHARACTERS = 500
# They would change which code runs, and how.
_JAVA_ENVIRONMENT = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"}


def log_file(engine_home: Path) -> Path:
    """Return the file with everything that the engine's process says."""
    return engine_home / "logs/engine.log"


def require_free_port(port: int) -> None:
    """
    Refuse a *port* on 127.0.0.1 that the engine could not take.

    Raises:
        OperatorError: Naming the port and what is wrong with it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise OperatorError(
                f"port {port} on 127.0.0.1 cannot be had: {error.strerror}; "
                "choose another with --port, or --port 0 for any free one"
            ) from error


def launch(order: Order, say: Say) -> RunningEngine:
    """
    Start the process for *order* and return when the engine answers.

    The process inherits the lock on the home. It is of a session of its own: it outlives this process, and neither
    Ctrl-C nor a closed terminal reaches it. If the wait is given up, also by an exception, it is ended.

    Raises:
        OperatorError: If it died, with the last that it said, or does not answer in time.
    """
    log_path = log_file(order.engine_home)
    if log_path.exists() and log_path.stat().st_size > _LOG_KEPT_BYTES:
        log_path.replace(log_path.with_suffix(".log.1"))
    log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    said_before_bytes = log_path.stat().st_size if log_path.exists() else 0
    # Not subprocess: that warns when the engine outlives the object that started it, which is what it is to do.
    os.set_inheritable(order.lock_descriptor, True)
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", "inferlog_ops.engine.process", *order.arguments()],
        _environment(),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log_path), log_flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    presence.note_holder(order.lock_descriptor, pid)
    try:
        return _answering(pid, order.engine_home, said_before_bytes, say)
    except BaseException:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _JAVA_ENVIRONMENT}
    # Java finds files with letters beyond ASCII in their names only under such a locale.
    return inherited | {"LC_ALL": "C.UTF-8"}


def _answering(pid: int, engine_home: Path, said_before_bytes: int, say: Say) -> RunningEngine:
    began = said_at = monotonic()
    say("starting the engine")
    while True:
        if engine := presence.published(engine_home):
            return engine
        ended, wait_status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(wait_status)
            how = f"with status {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
            raise OperatorError(
                f"the engine's process ended {how} while it started: {_last_words(engine_home, said_before_bytes)}; "
                f"its log: {log_file(engine_home)}"
            )
        waited = monotonic() - began
        if waited >= START_TIMEOUT_SECONDS:
            raise OperatorError(
                f"the engine did not answer within {waited:.0f} s and was ended; its log: {log_file(engine_home)}"
            )
        if monotonic() - said_at >= _SECONDS_BETWEEN_LINES:
            said_at = monotonic()
            say(f"starting the engine: {waited:.0f} s so far")
        sleep(_SECONDS_BETWEEN_LOOKS)


def _last_words(engine_home: Path, said_before_bytes: int) -> str:
    """Return the engine's own explanation, else the last error with the line below it: Java splits some in two."""
    with log_file(engine_home).open("rb") as log:
        log.seek(said_before_bytes)
        lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("at ")]
    for line in lines:
        if line.startswith("engine: "):
            return line.removeprefix("engine: ")
    errors = [number for number, line in enumerate(lines) if re.search(r"error|exception", line, re.IGNORECASE)]
    last = errors[-1] if errors else -2
    return " / ".join(lines[last:][:2])[:_WORDS_KEPT_CHARACTERS] or "it said nothing"
