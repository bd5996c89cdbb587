"""Lines to standard output, for platforms that collect it; to standard error, without a configuration; to nowhere."""

import os
import sys
import threading

from inferlog.losses import Losses


class _StandardOutput:
    """
    File descriptor 1, which all streams of the process share: a line torn by one is ended by whichever writes next.

    The lock can be taken twice by one thread: a signal's handler may log while a line waits for a slow reader.
    """

    def __init__(self, *, torn: bool = False) -> None:
        self.torn = torn
        self._lock = threading.RLock()

    def write(self, line: bytes) -> bool:
        with self._lock:
            sys.stdout.flush()  # what the service itself has printed comes first
            if self.torn:
                line = b"\n" + line
            # A pipe that is set not to block takes what it has room for.
            self.torn = os.write(1, line) < len(line)
            return not self.torn


_standard_output = _StandardOutput()


class StdoutSink:
    """
    Writes each line to file descriptor 1 with one ``write()``.

    A pipe whose reader is slow makes the writer wait, or tears the line if it is set not to block, and a line of more
    than 4 096 bytes may be torn by those of other processes on the same pipe: where events must not be lost or slow a
    request, let the file be the record of truth.

    Args:
        stream: ``events``, ``app`` …, for reports.
        losses: Reports lost lines; None: nobody does.
    """

    copies_dropped = 0

    def __init__(self, stream: str = "events", losses: Losses | None = None) -> None:
        self._stream = stream
        self._losses = losses

    def write(self, line: bytes) -> bool:
        """Write *line*; return whether all of it was taken. After one that was torn, the next begins with a newline."""
        try:
            whole, reason = _standard_output.write(line), "the pipe was full in the middle of a line"
        except (OSError, ValueError, AttributeError) as error:  # closed, or taken away
            whole, reason = False, (error.strerror if isinstance(error, OSError) else None) or "closed"
        if not whole and self._losses is not None:
            self._losses.add(self._stream, "standard output", reason)
        return whole

    def close(self) -> None:
        """Do nothing: standard output is not ours to close."""

    def detach_after_fork(self) -> None:
        """Do nothing, as above."""


class StderrSink:
    """Writes each line to the ``sys.stderr`` of the moment: a notebook's is shown below the cell."""

    copies_dropped = 0

    def write(self, line: bytes) -> bool:
        """Write *line*; return whether it was taken."""
        try:
            sys.stderr.write(line.decode())
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 (closed, taken away, or an object of the service's own)
            return False
        return True

    def close(self) -> None:
        """Do nothing: standard error is not ours to close."""

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


def _begin_anew_in_child() -> None:
    global _standard_output  # noqa: PLW0603 (its lock may be held by a thread that is not there)
    _standard_output = _StandardOutput(torn=_standard_output.torn)


os.register_at_fork(after_in_child=_begin_anew_in_child)
