"""Several sinks at once."""

from collections.abc import Sequence
from typing import Protocol


class _Sink(Protocol):
    @property
    def copies_dropped(self) -> int: ...
    def write(self, line: bytes) -> bool: ...
    def close(self) -> None: ...
    def detach_after_fork(self) -> None: ...


class FanOut:
    """
    Gives each line to all of *sinks*. The first is the record of truth: whether it has the line is the answer.

    What the others lose is counted in :attr:`copies_dropped`.
    """

    def __init__(self, sinks: Sequence[_Sink]) -> None:
        self._truth, *self._copies = sinks
        self._refused = 0

    @property
    def copies_dropped(self) -> int:
        """How many lines a sink beside the first has lost, as far as it knows."""
        return self._refused + sum(copy.copies_dropped for copy in self._copies)

    def write(self, line: bytes) -> bool:
        """Hand *line* to all; return whether the first has it. A copy that fails takes nothing from the first."""
        whole = self._truth.write(line)
        for copy in self._copies:
            if not _taken(copy, line):
                self._refused += 1
        return whole

    def close(self) -> None:
        """Close all."""
        for sink in (self._truth, *self._copies):
            sink.close()

    def detach_after_fork(self) -> None:
        """Let go of all in a forked child."""
        for sink in (self._truth, *self._copies):
            sink.detach_after_fork()


def _taken(sink: _Sink, line: bytes) -> bool:
    try:
        return sink.write(line)
    except Exception:  # noqa: BLE001 (no sink raises, but this one may be another's, or have got no thread)
        return False
