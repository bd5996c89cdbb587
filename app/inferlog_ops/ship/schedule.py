"""The schedule of batches in flight: due now, or waiting for the next attempt."""

import heapq
import itertools
import threading
import time
from collections import Counter

from inferlog_ops.ship.batch import Batch


class Schedule:
    """
    Passes due batches to the senders. Thread-safe.

    A waiting batch occupies no sender: a stream that is refused for an hour does not block the others.

    Args:
        stream_batches: Maximum batches per stream.
        shortened_seconds: Maximum delay of a stream's batches after one of them succeeded.
    """

    def __init__(self, stream_batches: int, *, shortened_seconds: float) -> None:
        self._stream_batches = stream_batches
        self._shortened_seconds = shortened_seconds
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, Batch]] = []
        self._numbers = itertools.count()
        self._in_flight: set[Batch] = set()
        self._closed = False
        self._changes = 0

    def has_room(self, stream: str) -> bool:
        """Whether another batch of *stream* may be submitted."""
        with self._condition:
            return Counter(batch.stream for batch in self._in_flight)[stream] < self._stream_batches

    def submit(self, batch: Batch) -> None:
        """Schedule *batch* for the next free sender."""
        with self._condition:
            self._in_flight.add(batch)
            self._push(batch, time.monotonic())

    def take(self) -> Batch | None:
        """Wait until a batch is due, and return it; None once the schedule is closed and nothing is due."""
        with self._condition:
            while True:
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    return heapq.heappop(self._due)[2]
                if self._closed:
                    return None
                self._condition.wait(self._due[0][0] - now if self._due else None)

    def postpone(self, batch: Batch, delay_seconds: float) -> None:
        """Schedule *batch* again after *delay_seconds*. A closed schedule drops the retry."""
        with self._condition:
            if not self._closed:
                self._push(batch, time.monotonic() + delay_seconds)

    def finish(self, batch: Batch) -> None:
        """Remove the acknowledged *batch*. Its stream works again, so shorten the delays of its other batches."""
        with self._condition:
            self._in_flight.discard(batch)
            self._changes += 1
            soon = time.monotonic() + self._shortened_seconds
            self._due = [
                (min(due, soon) if waiting.stream == batch.stream else due, number, waiting)
                for due, number, waiting in self._due
            ]
            heapq.heapify(self._due)
            self._condition.notify_all()

    @property
    def changes(self) -> int:
        """Counter that grows whenever there may be room again."""
        return self._changes

    def wait_for_change(self, since: int, timeout_seconds: float) -> None:
        """Return when `changes` is no longer *since*, or after *timeout_seconds*."""
        with self._condition:
            self._condition.wait_for(lambda: self._changes != since, timeout_seconds)

    def nudge(self) -> None:
        """Wake all threads that wait for a change."""
        with self._condition:
            self._changes += 1
            self._condition.notify_all()

    @property
    def is_closed(self) -> bool:
        """Whether only due batches are still sent."""
        return self._closed

    def close(self) -> None:
        """Drop batches that wait for a retry. Due batches are still passed to the senders."""
        with self._condition:
            self._closed = True
            self._changes += 1
            now = time.monotonic()
            self._due = [entry for entry in self._due if entry[0] <= now]
            heapq.heapify(self._due)
            self._condition.notify_all()

    def is_empty(self) -> bool:
        """Whether every batch is acknowledged."""
        with self._condition:
            return not self._in_flight

    def list_reasons(self) -> list[str]:
        """Return why batches wait, each reason once, the most frequent first."""
        with self._condition:
            counted = Counter(batch.reason for batch in self._in_flight if batch.reason)
            return [reason for reason, _ in counted.most_common()]

    def _push(self, batch: Batch, due: float) -> None:
        heapq.heappush(self._due, (due, next(self._numbers), batch))
        self._condition.notify_all()
