"""Lost lines of one process: counted by cause and reported on standard error, because the log cannot record them."""

import os
import select
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

_REPORT_EVERY_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 1.0
_WAIT_SECONDS: Final = 1.0
_AT_MOST: Final = "at most "
_NAMES: Final = {"events": "event", "app": "log line", "health": "heartbeat", "content": "content line"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """
    Counts of this process since :func:`inferlog.configure`, or since its fork.

    Attributes:
        events_written: Inference events written to the record of truth.
        events_dropped: Inference events that it rejected.
        events_removed: Upper bound of the events written to a log file after its removal.
        lines_written: Other lines written to the record of truth: log lines, heartbeats, content.
        lines_dropped: Other lines that it rejected.
        copies_dropped: Inference events that the other sinks have lost, as far as they can detect.
        last_loss: Place and reason of the latest loss; None if there was none.
        last_loss_unix_seconds: Unix time of the latest loss; None if there was none.
    """

    events_written: int = 0
    events_dropped: int = 0
    events_removed: int = 0
    lines_written: int = 0
    lines_dropped: int = 0
    copies_dropped: int = 0
    last_loss: str | None = None
    last_loss_unix_seconds: float | None = None


def write_to_stderr(text: str) -> bool:
    """
    Write *text* as one line to file descriptor 2; return False if it would block. Never raises, never blocks.

    Not to ``sys.stderr``: the service may have replaced it with a logger that calls inferlog.
    """
    if sys.__stderr__ is None:
        return True  # closed at process start; the number may belong to another file by now
    line = text.encode(errors="backslashreplace")[: select.PIPE_BUF - 1] + b"\n"
    try:
        poll = select.poll()
        poll.register(2, select.POLLOUT)
        if not poll.poll(0):
            return False  # a full pipe; a writable one accepts PIPE_BUF bytes without blocking
        os.write(2, line)
    except BlockingIOError:
        return False
    except (OSError, ValueError):
        pass  # closed: no reader to report to
    return True


class Losses:
    """
    Reports the first loss at once and later ones together, at most once a minute. Thread-safe; never raises.

    A loss is noted without a lock: the thread that notes it may hold the lock of a recorder, and a thread that reports
    may be interrupted by a signal handler that needs this recorder.

    Args:
        start_reports: Starts the thread that runs :meth:`report` from time to time, unless started. Called at each
            loss, without a lock of this object. Never raises.
        clock: Monotonic clock in seconds.
        write: Writes one line; returns False if the line must be retried.

    Attributes:
        failures: By stream, names of exceptions that have each lost a line since the last report.
    """

    def __init__(
        self,
        *,
        start_reports: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[str], bool] = write_to_stderr,
    ) -> None:
        self._start_reports = start_reports
        self._clock = clock
        self._write = write
        self._reporting = threading.Lock()
        self._noted: deque[tuple[str, str, int, str]] = deque()
        self._unreported: dict[tuple[str, str], Counter[str]] = {}
        self._due_at = 0.0
        self._removed: Counter[str] = Counter()
        self._last_loss: tuple[str, float] | None = None
        self.failures: dict[str, deque[str]] = {}

    @property
    def events_removed(self) -> int:
        """Maximum number of events written to a log file after it was deleted, renamed or truncated."""
        return self._removed["events"]

    def read_last_loss(self) -> tuple[str, float] | None:
        """Return place and reason of the latest loss, and its Unix time in seconds; None if there was none."""
        self.report()  # an exception starts no thread for reports, but heartbeats ask here
        return self._last_loss

    def add(self, stream: str, place: str, reason: str, lines: int = 1) -> None:
        """Count *lines* of *stream* that *place* (a path or an address) rejected; report them if a report is due."""
        self._note(stream, f"{place}: {reason}", lines)

    def add_removed(self, stream: str, place: str, lines: int) -> None:
        """Count up to *lines* of *stream* in a file of the directory *place* that was removed while in use."""
        self._note(stream, f"{place}: a log file was deleted, renamed or truncated while in use", lines, _AT_MOST)

    def report(self, *, even_early: bool = False) -> None:
        """
        Report all unreported losses if the last report is a minute ago, or now if *even_early*.

        Leaves them to another thread that is reporting at the moment; waits up to a second for it if *even_early*.
        """
        if not self._reporting.acquire(timeout=_WAIT_SECONDS if even_early else 0):
            return
        try:
            self._count_noted()
            now = self._clock()
            if not self._unreported or (now < self._due_at and not even_early):
                return
            sentences = [_format_loss(cause, quantity, lost) for (cause, quantity), lost in self._unreported.items()]
            written = self._write("inferlog: " + "; ".join(sentences))
            if written:
                self._unreported.clear()
            self._due_at = now + (_REPORT_EVERY_SECONDS if written else _RETRY_SECONDS)
        finally:
            self._reporting.release()

    def _note(self, stream: str, cause: str, lines: int, quantity: str = "") -> None:
        self._noted.append((stream, cause, lines, quantity))
        self._last_loss = cause, time.time()
        self.report()
        self._start_reports()  # the next report is due without another loss, and also if no log file is ever opened

    def _count_noted(self) -> None:
        for stream, failures in self.failures.items():
            while failures:
                cause = f"{failures.popleft()} while the line was written"
                self._noted.append((stream, cause, 1, ""))
                self._last_loss = cause, time.time()
        while self._noted:
            stream, cause, lines, quantity = self._noted.popleft()
            self._unreported.setdefault((cause, quantity), Counter())[stream] += lines
            if quantity == _AT_MOST:
                self._removed[stream] += lines


def _format_loss(cause: str, quantity: str, lost: Mapping[str, int]) -> str:
    counts = [f"{lines} {_NAMES.get(stream, stream)}{'s' * (lines != 1)}" for stream, lines in lost.items() if lines]
    return f"{quantity}{' and '.join(counts)} lost: {cause}" if counts else cause
