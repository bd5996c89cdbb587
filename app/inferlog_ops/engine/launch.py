"""Launch of the engine as a detached process with its parameters, until it answers or has failed."""

import os
import re
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.core.wait import poll
from inferlog_ops.engine import presence
from inferlog_ops.engine.presence import RunningEngine

DEFAULT_HEAP = "1g"
START_TIMEOUT_SECONDS = 180.0
_SECONDS_BETWEEN_POLLS = 0.05
_SECONDS_BETWEEN_LINES = 2.0
_MAX_LOG_BYTES = 5_000_000
_MAX_ERROR_CHARACTERS = 500
# These variables would change the code that Java runs and its options.
_JAVA_ENVIRONMENT = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """
    Parameters of an engine process.

    Attributes:
        engine_home: Its directory, with verified jars.
        port: HTTP port; 0 = any free port.
        heap: Maximum Java heap in the notation of Java: ``1g``, ``512m``.
        lock_descriptor: Inherited; holds the lock on the home until the process ends.
        ends_with_pid: Process whose end also ends the engine; 0 = none.
    """

    engine_home: Path
    port: int
    heap: str
    lock_descriptor: int
    ends_with_pid: int

    def to_arguments(self) -> list[str]:
        return [str(self.engine_home), str(self.port), self.heap, str(self.lock_descriptor), str(self.ends_with_pid)]

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> "LaunchOrder":
        """Parse the result of ``to_arguments``."""
        engine_home, port, heap, lock_descriptor, ends_with_pid = arguments
        return cls(
            engine_home=Path(engine_home),
            port=int(port),
            heap=heap,
            lock_descriptor=int(lock_descriptor),
            ends_with_pid=int(ends_with_pid),
        )


def find_log_file(engine_home: Path) -> Path:
    """Return the file with the output of the engine's process."""
    return engine_home / "logs/engine.log"


def require_free_port(port: int) -> None:
    """
    Check that *port* on 127.0.0.1 is free.

    Raises:
        OperatorError: If it is not; the message has the reason.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise OperatorError(
                f"port {port} on 127.0.0.1 is not available: {error.strerror}; "
                "choose another with --port, or --port 0 for any free port"
            ) from error


def launch(order: LaunchOrder, report: ReportProgress) -> RunningEngine:
    """
    Start the process for *order* and return as soon as the engine answers.

    The process inherits the lock on the home. It has its own session: it outlives this process, and neither Ctrl-C nor
    a closed terminal reaches it. If the wait ends early, also by an exception, the process is killed.

    Raises:
        OperatorError: If the process ended (with its last output) or did not answer in time.
    """
    log_path = find_log_file(order.engine_home)
    if log_path.exists() and log_path.stat().st_size > _MAX_LOG_BYTES:
        log_path.replace(log_path.with_suffix(".log.1"))
    log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    earlier_bytes = log_path.stat().st_size if log_path.exists() else 0
    # Not subprocess: it warns when a process outlives its Popen object, which is intended here.
    os.set_inheritable(order.lock_descriptor, True)
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", "inferlog_ops.engine.process", *order.to_arguments()],
        _build_environment(),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log_path), log_flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    presence.note_holder(order.lock_descriptor, pid)
    try:
        return _wait_until_ready(pid, order.engine_home, earlier_bytes, report)
    except BaseException:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise


def _build_environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _JAVA_ENVIRONMENT}
    # Java finds files with non-ASCII names only under a UTF-8 locale.
    return inherited | {"LC_ALL": "C.UTF-8"}


def _wait_until_ready(pid: int, engine_home: Path, earlier_bytes: int, report: ReportProgress) -> RunningEngine:
    report("starting the engine")
    next_line = _SECONDS_BETWEEN_LINES
    for waited_seconds in poll(timeout_seconds=START_TIMEOUT_SECONDS, interval_seconds=_SECONDS_BETWEEN_POLLS):
        if engine := presence.find_running(engine_home):
            return engine
        ended, wait_status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(wait_status)
            how = f"with status {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
            raise OperatorError(
                f"the engine's process ended {how} during its start: {_find_error(engine_home, earlier_bytes)}; "
                f"its log: {find_log_file(engine_home)}"
            )
        if waited_seconds >= next_line:
            next_line = waited_seconds + _SECONDS_BETWEEN_LINES
            report(f"starting the engine: {waited_seconds:.0f} s so far")
    raise OperatorError(
        f"the engine did not answer within {START_TIMEOUT_SECONDS:.0f} s and was killed; "
        f"its log: {find_log_file(engine_home)}"
    )


def _find_error(engine_home: Path, earlier_bytes: int) -> str:
    """Return the engine's own explanation, otherwise the last error and its next line: Java splits some in two."""
    with find_log_file(engine_home).open("rb") as log:
        log.seek(earlier_bytes)
        lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("at ")]
    for line in lines:
        if line.startswith("engine: "):
            return line.removeprefix("engine: ")
    errors = [number for number, line in enumerate(lines) if re.search(r"error|exception", line, re.IGNORECASE)]
    last = errors[-1] if errors else -2
    return " / ".join(lines[last:][:2])[:_MAX_ERROR_CHARACTERS] or "no output"
