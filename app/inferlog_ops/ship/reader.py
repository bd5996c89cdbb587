"""Turns what the folder holds into batches, fairly between streams and between files."""

import threading
import time
from collections import deque
from collections.abc import Callable

from inferlog_ops.core.streams import STREAMS
from inferlog_ops.ship.batch import Batch
from inferlog_ops.ship.offsets import OffsetTracker, TrackedFile
from inferlog_ops.ship.schedule import Schedule
from inferlog_ops.ship.settings import Settings
from inferlog_ops.ship.tail import ReplacedError, Tail
from inferlog_ops.ship.watch import FileDiscovery

_LOOKING_SHARE = 0.1
"""Looking through a folder with very many files takes at most this share of one core."""


class Reader:
    """
    Reads until it is told to stop, or only what was there when it began.

    No file gets a second turn before every other file of its stream had one, and no turn is longer than a batch.
    """

    def __init__(
        self, *, watch: FileDiscovery, tail: Tail, ledger: OffsetTracker, schedule: Schedule, settings: Settings
    ) -> None:
        self._watch = watch
        self._tail = tail
        self._ledger = ledger
        self._schedule = schedule
        self._settings = settings
        self._turns: dict[str, deque[TrackedFile]] = {stream: deque() for stream in STREAMS}
        self._unreadable: set[TrackedFile] = set()
        self._next_look = 0.0

    def run_until(self, stopping: threading.Event) -> None:
        """
        Read what is there and what is added until *stopping* is set.

        What has been added until then is read, too, unless the store is slow or takes nothing.
        """
        while not stopping.is_set():
            if time.monotonic() >= self._next_look:
                self._look()
            changes = self._schedule.changes
            if not self._submit_some():
                self._schedule.wait_for_change(changes, max(0.0, self._next_look - time.monotonic()))
        deadline = time.monotonic() + self._settings.stop_seconds / 2
        self._read_all(lambda: time.monotonic() >= deadline or self._schedule.closed or bool(self._schedule.reasons()))

    def run_once(self, stopping: threading.Event) -> None:
        """Read what is there now, and return when all of it is read, or *stopping* is set."""
        self._read_all(stopping.is_set)

    def _read_all(self, giving_up: Callable[[], bool]) -> None:
        self._look()
        while any(self._is_readable(file) for file in self._ledger.files()) and not giving_up():
            changes = self._schedule.changes
            if not self._submit_some():
                self._schedule.wait_for_change(changes, self._settings.poll_seconds)

    def _look(self) -> None:
        began = time.monotonic()
        self._watch.look()
        self._unreadable.clear()
        files = self._ledger.files()
        for stream, turns in self._turns.items():
            current = {file: None for file in files if file.stream == stream}
            waiting_longest_first = {file: None for file in turns if file in current}
            self._turns[stream] = deque(waiting_longest_first | current)
        took = time.monotonic() - began
        self._next_look = began + max(self._settings.poll_seconds, took / _LOOKING_SHARE)

    def _is_readable(self, file: TrackedFile) -> bool:
        return file.has_unread and file not in self._unreadable

    def _submit_some(self) -> bool:
        """Submit at most one batch of each stream; return whether there was any."""
        submitted = False
        for stream, turns in self._turns.items():
            if self._schedule.has_room(stream):
                batch = self._filled(stream, turns)
                if batch.spans:
                    self._schedule.submit(batch)
                    submitted = True
        return submitted

    def _filled(self, stream: str, turns: deque[TrackedFile]) -> Batch:
        batch = Batch(stream=stream)
        for _ in range(len(turns)):
            if self._tail.is_full(batch):
                break
            file = turns[0]
            turns.rotate(-1)
            if self._is_readable(file):
                turns[-1] = self._read(batch, file)
        return batch

    def _read(self, batch: Batch, file: TrackedFile) -> TrackedFile:
        """Move lines of *file* into *batch*; return the file to read next time, another one if it was replaced."""
        try:
            self._tail.read_into(batch, file)
        except ReplacedError as replaced:
            return self._watch.follow_anew(file, replaced.identity, replaced.size)
        except FileNotFoundError:
            file.gone = True
        except OSError as error:
            file.trouble = f"cannot read {file.name}: {error.strerror}"
            self._unreadable.add(file)
        else:
            file.trouble = None
        return file
