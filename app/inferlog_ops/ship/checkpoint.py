"""Saves, publishes and reports how far the shipper is, each at its own pace."""

import time
from datetime import UTC, datetime
from pathlib import Path

import orjson

from inferlog_ops.ship.ack_file import AckFile
from inferlog_ops.ship.clock_skew import ClockSkew
from inferlog_ops.ship.counters import Counters
from inferlog_ops.ship.display import Display
from inferlog_ops.ship.health import Health
from inferlog_ops.ship.offsets import OffsetTracker
from inferlog_ops.ship.positions import PositionFile, replace_file
from inferlog_ops.ship.schedule import Schedule
from inferlog_ops.ship.status import Status, estimated_events, oldest_age_seconds
from inferlog_ops.ship.watch import FileDiscovery


class Checkpointer:
    """What the main thread does while others read and send."""

    def __init__(
        self,
        *,
        root: Path,
        ledger: OffsetTracker,
        schedule: Schedule,
        watch: FileDiscovery,
        clock_skew: ClockSkew,
        counters: Counters,
        positions: PositionFile,
        publication: AckFile,
        health: Health,
        display: Display,
        stats_file: Path | None,
        save_seconds: float,
    ) -> None:
        self._root = root
        self._ledger = ledger
        self._schedule = schedule
        self._watch = watch
        self._clock_skew = clock_skew
        self._counters = counters
        self._positions = positions
        self._publication = publication
        self._health = health
        self._display = display
        self._stats_file = stats_file
        self._save_seconds = save_seconds
        self._saved_changes = -1
        self._next_save = self._next_show = 0.0
        self._behind_seconds = 0.0
        self._trouble: str | None = None
        self._last_stats: Status | None = None

    def keep(self, *, now_at_latest: bool = False) -> None:
        """Do what is due; all of it with *now_at_latest*."""
        now = time.monotonic()
        if now_at_latest or now >= self._next_save:
            self._next_save = now + self._save_seconds
            self.save()
            self._publication.renew()
            self._write_stats()
        if now_at_latest or now >= self._next_show:
            self._next_show = now + self._display.pause_seconds
            self._measure_age()
            self._display.show(self.status().as_line())

    def beat(self) -> None:
        """Write a health line if it is due."""
        if self._health.is_due():
            self._measure_age()
            self._health.record(self.status())

    def status(self) -> Status:
        """Return how far the shipper is. The age of what is behind is as of the last status or health line."""
        files = self._ledger.files()
        counts = self._counters.counts
        behind_bytes = sum(file.behind_bytes for file in files)
        trouble = [file.trouble for file in files if file.trouble]
        return Status(
            counts=counts,
            behind_bytes=behind_bytes,
            behind_events=estimated_events(behind_bytes, counts, self._ledger.answered_bytes),
            behind_seconds=self._behind_seconds if behind_bytes else 0.0,
            pending=sum(file.ends_in_half_a_line for file in files),
            retries=self._counters.retries,
            waiting=[
                *([self._trouble] if self._trouble else []),
                *self._schedule.reasons(),
                *self._watch.listing.problems,
                *trouble,
            ],
            clock_skew_seconds=self._clock_skew.seconds(),
            left_alone=self._watch.listing.left_alone,
            no_health_lines=self._health.trouble,
        )

    def save(self) -> None:
        """Save and publish the positions, if there is something new to them."""
        changes = self._ledger.changes
        if changes == self._saved_changes:
            return
        files = self._ledger.files()
        try:
            self._positions.save(files)
        except OSError as error:
            self._trouble = f"positions cannot be saved: {error.strerror}"
            return
        self._trouble = None
        self._saved_changes = changes
        self._publication.publish(files)

    def _measure_age(self) -> None:
        self._behind_seconds = oldest_age_seconds(self._root, self._ledger.files(), datetime.now(UTC))

    def _write_stats(self) -> None:
        if self._stats_file is None:
            return
        stats = self.status()
        if stats == self._last_stats:
            return
        try:
            replace_file(self._stats_file, orjson.dumps(stats.as_json()), durable=False)
            self._last_stats = stats
        except OSError as error:
            self._display.say_once(f"cannot write {self._stats_file}: {error.strerror}")
