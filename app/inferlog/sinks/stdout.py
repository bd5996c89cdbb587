"""Lines to standard output, for platforms that collect it."""

import os
import sys


class StdoutSink:
    """
    Writes each line to file descriptor 1 with one ``write()``.

    A pipe whose reader is slow makes the writer wait, and a line of more than 4 096 bytes may be torn by those of other
    processes on the same pipe: where events must not be lost or slow a request, let the file be the record of truth.
    """

    copies_dropped = 0

    def write(self, line: bytes) -> bool:
        """Write *line*; return whether all of it was taken."""
        try:
            sys.stdout.flush()  # what the service itself has printed comes first
            return os.write(1, line) == len(line)
        except (OSError, ValueError, AttributeError):  # closed, or taken away
            return False

    def close(self) -> None:
        """Do nothing: standard output is not ours to close."""

    def abandon(self) -> None:
        """Do nothing, as above."""
