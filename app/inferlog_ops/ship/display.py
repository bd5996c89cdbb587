"""Says how it goes on stderr: one line that renews itself on a terminal, a line now and then elsewhere."""

import shutil
import threading
from typing import TextIO

from inferlog_ops.core.console import printable


class Display:
    """
    Safe to use from several threads. What a store or a file's name says cannot steer the terminal.

    Attributes:
        pause_seconds: How long a line should stand before it is renewed.
    """

    def __init__(self, stream: TextIO, *, pause_seconds: float = 5.0) -> None:
        self._stream = stream
        self._renewing = stream.isatty()
        self.pause_seconds = min(pause_seconds, 1.0) if self._renewing else pause_seconds
        self._last = ""
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def show(self, line: str) -> None:
        """Show the status *line*; one that is there already is not repeated."""
        line = printable(line)
        with self._lock:
            if line == self._last:
                return
            self._last = line
            if self._renewing:
                self._write(f"\r\x1b[2K{line[: shutil.get_terminal_size().columns - 1]}")
            else:
                self._write(f"inferlog ship: {line}\n")

    def say(self, text: str) -> None:
        """Put *text* on a line of its own, above the status line."""
        with self._lock:
            begin = "\r\x1b[2K" if self._renewing else ""
            self._write(f"{begin}inferlog ship: {printable(text)}\n{self._last if self._renewing else ''}")

    def say_once(self, text: str) -> None:
        """Say *text* the first time only."""
        with self._lock:
            known = text in self._said
            self._said.add(text)
        if not known:
            self.say(text)

    def close(self) -> None:
        """Leave the status line as it is and begin a new one."""
        with self._lock:
            if self._renewing and self._last:
                self._write("\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            pass  # nobody reads it any more; the events still have to be shipped
