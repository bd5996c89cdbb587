"""Offset of this process's clock by the seconds in a file. Python imports ``sitecustomize`` at its start."""

import os
import time
from pathlib import Path

_file = Path(os.environ["INFERLOG_CHAOS_CLOCK"])
_true_time_ns = time.time_ns
_READ_EVERY_NS = 100_000_000


class _Clock:
    _offset_ns = 0
    _read_at = 0

    def read_ns(self) -> int:
        now = _true_time_ns()
        if abs(now - self._read_at) > _READ_EVERY_NS:
            self._read_at = now
            self._offset_ns = int(_file.read_text()) * 1_000_000_000
        return now + self._offset_ns

    def read_seconds(self) -> float:
        return self.read_ns() / 1e9


_clock = _Clock()
time.time_ns, time.time = _clock.read_ns, _clock.read_seconds
