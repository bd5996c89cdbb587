"""Sinks for standard output, collected by platforms; for standard error, without a configuration; and for nothing."""

import os
import sys
import threading

from inferlog.losses import Losses


class _StandardOutput:
    """
    File descriptor 1, shared by all streams of the process: after a torn line, the next write starts with a newline.

    The lock is reentrant, because a signal handler may log while a line waits for a slow reader.
    """

    def __init__(self, *, torn: bool = False) -> None:
        self.torn = torn
        self._lock = threading.RLock()

    def write(self, line: bytes) -> bool:
        with self._lock:
            sys.stdout.flush()  # keeps the order with the service's own output
            if self.torn:
                line = b"\n" + line
            # A non-blocking pipe may accept only a part. If only the newline is missing, the next write adds it.
            written = os.write(1, line)
            self.torn = line[written - 1 : written] != b"\n"
            return written >= len(line) - 1


_standard_output = _StandardOutput()


class StdoutSink:
    """
    Writes each line to file descriptor 1 with one ``write()``.

    A pipe with a slow reader blocks the writer, or tears the line if it is non-blocking, and a line of more than
    4 096 bytes may be torn by other processes on the same pipe. If no event may be lost or delay a request, use the
    file alone: a copy on standard output waits as well.

    Args:
        stream: ``events``, ``app`` …, for reports.
        losses: Reports lost lines; None to ignore them.
    """

    copies_dropped = 0

    def __init__(self, stream: str = "events", losses: Losses | None = None) -> None:
        self._stream = stream
        self._losses = losses

    def write(self, line: bytes) -> bool:
        """Write *line*; return whether it was written completely. The line after a torn one starts with a newline."""
        try:
            whole, reason = _standard_output.write(line), "the pipe was full in the middle of a line"
        except (OSError, ValueError, AttributeError) as error:  # closed or replaced
            whole, reason = False, (error.strerror if isinstance(error, OSError) else None) or "closed"
        if not whole and self._losses is not None:
            self._losses.add(self._stream, "standard output", reason)
        return whole

    def close(self) -> None:
        """Do nothing: standard output belongs to the service."""

    def detach_after_fork(self) -> None:
        """Do nothing, as above."""


class StderrSink:
    """Writes each line to the current ``sys.stderr``, which a notebook shows below the cell."""

    copies_dropped = 0

    def write(self, line: bytes) -> bool:
        """Write *line*; return whether it was written."""
        try:
            sys.stderr.write(line.decode())
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 (closed, removed, or replaced by the service)
            return False
        return True

    def close(self) -> None:
        """Do nothing: standard error belongs to the service."""

    def detach_after_fork(self) -> None:
        """Do nothing, as above."""


class NullSink:
    """Drops each line on purpose: the library is switched off."""

    copies_dropped = 0

    def write(self, line: bytes) -> bool:  # noqa: ARG002 (as the other sinks)
        """Return True: a line that nobody wants is not a loss."""
        return True

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def detach_after_fork(self) -> None:
        """Do nothing, as above."""


def _reset_in_child() -> None:
    global _standard_output  # noqa: PLW0603 (a thread that does not exist in the child may hold its lock)
    _standard_output = _StandardOutput(torn=_standard_output.torn)


os.register_at_fork(after_in_child=_reset_in_child)
