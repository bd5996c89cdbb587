"""Sink that writes each line to several sinks."""

from collections.abc import Sequence

from inferlog.recorder import Sink, has_written


class FanOut:
    """
    Writes each line to all of *sinks*. The first is the record of truth and determines the result.

    Lines lost by the others are counted in :attr:`copies_dropped`.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._truth, *self._copies = sinks
        self._refused = 0

    @property
    def copies_dropped(self) -> int:
        """Lines lost by the sinks after the first, as far as they can detect."""
        return self._refused + sum(copy.copies_dropped for copy in self._copies)

    def write(self, line: bytes) -> bool:
        """Write *line* to all; return whether the first has it. A failing copy does not affect the first."""
        whole = self._truth.write(line)
        for copy in self._copies:
            if not _try_write(copy, line):
                self._refused += 1
        return whole

    def has_written(self, line: bytes) -> bool:
        """Return whether the first has *line*."""
        return has_written(self._truth, line)

    def close(self) -> None:
        """Close all sinks."""
        for sink in (self._truth, *self._copies):
            sink.close()

    def detach_after_fork(self) -> None:
        """Release all in a forked child."""
        for sink in (self._truth, *self._copies):
            sink.detach_after_fork()


def _try_write(sink: Sink, line: bytes) -> bool:
    try:
        return sink.write(line)
    except Exception:  # noqa: BLE001 (no sink should raise, but this one may be user-defined or without a thread)
        return False
