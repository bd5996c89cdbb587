"""Checkpoints: save the acknowledged offsets, publish them to the writers of the files, and report the status."""

import errno
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import orjson

from inferlog.sinks.shipped import SHIPPED_DIRECTORY
from inferlog_ops.core.files import replace_file
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.ship.clock_skew import ClockSkew
from inferlog_ops.ship.discovery import FileDiscovery
from inferlog_ops.ship.health import Health
from inferlog_ops.ship.offset_file import OffsetFile
from inferlog_ops.ship.offsets import OffsetTracker, TrackedFile
from inferlog_ops.ship.schedule import Schedule
from inferlog_ops.ship.status import Counters, Display, ShipperStatus, estimate_events, find_oldest_age_seconds

_VERSION = 1
_RENEWAL_SECONDS = 60.0


class AckFile:
    """
    ``.shipped/<shipper id>.json`` in every directory with log files: the services delete only acknowledged files.

    It is written after the offset file, so that this shipper never publishes an offset that a crash could revert.

    Args:
        root: The log directory.
        shipper_id: The same at every start.
        log: Receives write errors.
        clock: Monotonic seconds.
    """

    def __init__(
        self, root: Path, shipper_id: str, log: ReportProgress, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._root = root
        self._file_name = f"{shipper_id}.json"
        self._log = log
        self._clock = clock
        self._renewed = clock()
        self._published: dict[Path, dict[str, int]] = {}
        self._logged: set[Path] = set()

    def publish(self, files: Iterable[TrackedFile]) -> None:
        """Write the directories whose offsets changed. Log an unwritable directory once."""
        current: defaultdict[Path, dict[str, int]] = defaultdict(dict)
        for file in files:
            path = self._root / file.name
            current[path.parent][path.name] = file.confirmed_offset
        for folder in current.keys() | self._published.keys():
            offsets = current.get(folder, {})
            if self._published.get(folder) != offsets:
                self._write(folder, offsets)
                self._published[folder] = offsets

    def renew(self) -> None:
        """Write all directories again once a minute: services do not keep files for a shipper that has gone silent."""
        if self._clock() - self._renewed < _RENEWAL_SECONDS:
            return
        self._renewed = self._clock()
        for folder, offsets in self._published.items():
            self._write(folder, offsets)

    def _write(self, folder: Path, offsets: dict[str, int]) -> None:
        if not folder.is_dir():
            return
        content = orjson.dumps({"version": _VERSION, "positions": offsets})
        try:
            published = folder / SHIPPED_DIRECTORY
            published.mkdir(exist_ok=True)
            if published.is_symlink():
                raise OSError(errno.ELOOP, "a link to another folder", str(published))  # noqa: TRY301 (logged below)
            replace_file(published / self._file_name, content, durable=False)
        except OSError as error:
            if folder not in self._logged:
                self._logged.add(folder)
                self._log(
                    f"cannot publish offsets in {folder / SHIPPED_DIRECTORY} ({error.strerror}): shipping continues, "
                    "but the services cannot see which files they may delete"
                )


class Checkpointer:
    """Main-thread loop: checkpoint offsets, publish them, report the status, each at its own interval."""

    def __init__(
        self,
        *,
        root: Path,
        tracker: OffsetTracker,
        schedule: Schedule,
        discovery: FileDiscovery,
        clock_skew: ClockSkew,
        counters: Counters,
        offset_file: OffsetFile,
        ack_file: AckFile,
        health: Health,
        display: Display,
        stats_file: Path | None,
        save_seconds: float,
    ) -> None:
        self._root = root
        self._tracker = tracker
        self._schedule = schedule
        self._discovery = discovery
        self._clock_skew = clock_skew
        self._counters = counters
        self._offset_file = offset_file
        self._ack_file = ack_file
        self._health = health
        self._display = display
        self._stats_file = stats_file
        self._save_seconds = save_seconds
        self._saved_changes = -1
        self._next_save = self._next_show = 0.0
        self._behind_seconds = 0.0
        self._trouble: str | None = None
        self._last_stats: ShipperStatus | None = None

    def run_due(self, *, run_all: bool = False) -> None:
        """Run the due tasks, or all of them with *run_all*."""
        now = time.monotonic()
        if run_all or now >= self._next_save:
            self._next_save = now + self._save_seconds
            self.save()
            self._ack_file.renew()
            self._write_stats()
        if run_all or now >= self._next_show:
            self._next_show = now + self._display.pause_seconds
            self._measure_age()
            self._display.show(self.build_status().as_line())

    def record_health(self) -> None:
        """Write a health line if it is due."""
        if self._health.is_due():
            self._measure_age()
            self._health.record(self.build_status())

    def build_status(self) -> ShipperStatus:
        """Return the current status. Its ``behind_seconds`` is as of the last status line or health line."""
        files = self._tracker.list_files()
        counts = self._counters.counts
        behind_bytes = sum(file.behind_bytes for file in files)
        trouble = [file.trouble for file in files if file.trouble]
        return ShipperStatus(
            counts=counts,
            behind_bytes=behind_bytes,
            behind_events=estimate_events(behind_bytes, counts, self._tracker.acknowledged_bytes),
            behind_seconds=self._behind_seconds if behind_bytes else 0.0,
            pending=sum(file.has_partial_line for file in files),
            retries=self._counters.retries,
            waiting=[
                *([self._trouble] if self._trouble else []),
                *self._schedule.list_reasons(),
                *self._discovery.listing.problems,
                *trouble,
            ],
            clock_skew_seconds=self._clock_skew.find_largest_seconds(),
            left_alone=self._discovery.listing.left_alone,
            no_health_lines=self._health.trouble,
        )

    def save(self) -> None:
        """Save and publish the acknowledged offsets if they changed."""
        changes = self._tracker.changes
        if changes == self._saved_changes:
            return
        files = self._tracker.list_files()
        try:
            self._offset_file.save(self._tracker.list_offsets())
        except OSError as error:
            self._trouble = f"offsets cannot be saved: {error.strerror}"
            return
        self._trouble = None
        self._saved_changes = changes
        self._ack_file.publish(files)

    def _measure_age(self) -> None:
        self._behind_seconds = find_oldest_age_seconds(self._root, self._tracker.list_files(), datetime.now(UTC))

    def _write_stats(self) -> None:
        if self._stats_file is None:
            return
        stats = self.build_status()
        if stats == self._last_stats:
            return
        try:
            replace_file(self._stats_file, orjson.dumps(stats.as_json()), durable=False)
            self._last_stats = stats
        except OSError as error:
            self._display.log_once(f"cannot write {self._stats_file}: {error.strerror}")
