"""The shipper's counters, its status, and the status line on stderr."""

import os
import shutil
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from inferlog.sinks.safe_open import open_file
from inferlog_ops.core.console import escape_control, format_bytes, format_count
from inferlog_ops.ship.clock_skew import is_beyond_limit, read_event_time
from inferlog_ops.ship.offsets import TrackedFile

_PEEK_BYTES = 4096
_PEEKED_FILES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """
    Totals since the start. Each acknowledged line counts once, in one of the first three.

    Attributes:
        shipped: Lines that Elasticsearch stored.
        duplicates: Lines that Elasticsearch had already.
        dead_lettered: Lines in the dead letter file.
        lost_files: Files that disappeared, or were replaced or truncated, before all of their lines were acknowledged.
        lost_bytes: Bytes of lost files that were not acknowledged, without an incomplete last line.
    """

    shipped: int = 0
    duplicates: int = 0
    dead_lettered: int = 0
    lost_files: int = 0
    lost_bytes: int = 0

    @property
    def acknowledged(self) -> int:
        return self.shipped + self.duplicates + self.dead_lettered

    def __add__(self, other: "Counts") -> "Counts":
        counts = asdict(self)
        return Counts(**{name: count + counts[name] for name, count in asdict(other).items()})


class Counters:
    """Counts from several threads."""

    def __init__(self) -> None:
        self._counts = Counts()
        self._retries = 0
        self._lock = threading.Lock()

    @property
    def counts(self) -> Counts:
        """All counts as of one moment."""
        return self._counts

    @property
    def retries(self) -> int:
        """Attempts at a batch that left lines to be sent again."""
        return self._retries

    def add_retry(self) -> None:
        with self._lock:
            self._retries += 1

    def add(self, **more: int) -> None:
        """Add to the named counts."""
        with self._lock:
            self._counts += Counts(**more)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperStatus:
    """
    The state of the shipper at one moment.

    Attributes:
        counts: Totals since the start.
        behind_bytes: Bytes in the files that are not acknowledged, without incomplete last lines.
        behind_events: Estimate from *behind_bytes* and the mean length of the lines so far; None if unknown.
        behind_seconds: Age of the oldest event that is not acknowledged; 0 if there is none.
        pending: Number of files that end in an incomplete line.
        retries: Attempts that left lines to be sent again.
        waiting: Reasons why lines are not acknowledged, each once.
        clock_skew_seconds: Event timestamps minus this clock, the largest recent difference; None if unknown.
        left_alone: Files that are not log files, by their names.
        no_health_lines: Why the shipper's own health lines cannot be written; None if they can.
    """

    counts: Counts
    behind_bytes: int
    behind_events: int | None
    behind_seconds: float
    pending: int
    retries: int
    waiting: list[str]
    clock_skew_seconds: float | None
    left_alone: list[str]
    no_health_lines: str | None

    @property
    def reported_clock_skew_seconds(self) -> float | None:
        """The clock skew if it is beyond the limit."""
        return self.clock_skew_seconds if is_beyond_limit(self.clock_skew_seconds) else None

    def add_totals(self, earlier: "ShipperStatus") -> "ShipperStatus":
        """Return this status with the totals of an *earlier* run of the same command."""
        return replace(self, counts=self.counts + earlier.counts, retries=self.retries + earlier.retries)

    def as_json(self) -> dict[str, Any]:
        """Return all fields as plain data, the counts at the same level as the rest."""
        rest = asdict(self)
        counts: dict[str, Any] = rest.pop("counts")
        return counts | rest

    def as_line(self) -> str:
        """Return one line for the terminal."""
        counts = self.counts
        parts = [
            f"shipped {counts.shipped:,}",
            f"behind by {self._format_behind()}",
            f"refused {counts.dead_lettered:,}",
        ]
        if counts.duplicates:
            parts.append(f"already there {counts.duplicates:,}")
        if self.pending:
            parts.append(f"half-written {self.pending}")
        if counts.lost_files:
            parts.append(f"gone unshipped {format_count(counts.lost_files, 'file')}, {format_bytes(counts.lost_bytes)}")
        if self.left_alone:
            parts.append(f"left alone {_format_first(self.left_alone)}")
        if skew := self.reported_clock_skew_seconds:
            relation = "ahead of" if skew > 0 else "behind"
            parts.append(f"clock skew: events are {_format_duration(abs(skew))} {relation} this clock")
        if self.no_health_lines:
            parts.append(f"no health lines: {self.no_health_lines}")
        if self.waiting:
            parts.append(f"waits: {_format_first(self.waiting)}")
        return " · ".join(parts)

    def _format_behind(self) -> str:
        if not self.behind_bytes:
            return "0"
        events = "" if self.behind_events is None else f"about {format_count(self.behind_events, 'event')}, "
        return f"{events}{format_bytes(self.behind_bytes)}, {_format_duration(self.behind_seconds)}"


class Display:
    """
    Status on stderr: one updated line on a terminal, occasional lines elsewhere.

    Thread-safe. Control characters in messages and file names never reach the terminal.

    Attributes:
        pause_seconds: Interval between updates of the status line.
    """

    def __init__(self, stream: TextIO, *, pause_seconds: float = 5.0) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self.pause_seconds = min(pause_seconds, 1.0) if self._is_terminal else pause_seconds
        self._last = ""
        self._logged: set[str] = set()
        self._lock = threading.Lock()

    def show(self, line: str) -> None:
        """Show the status *line*, unless it is unchanged."""
        line = escape_control(line)
        with self._lock:
            if line == self._last:
                return
            self._last = line
            if self._is_terminal:
                self._write(f"\r\x1b[2K{line[: shutil.get_terminal_size().columns - 1]}")
            else:
                self._write(f"inferlog ship: {line}\n")

    def log(self, text: str) -> None:
        """Print *text* on a separate line above the status line."""
        with self._lock:
            begin = "\r\x1b[2K" if self._is_terminal else ""
            self._write(f"{begin}inferlog ship: {escape_control(text)}\n{self._last if self._is_terminal else ''}")

    def log_once(self, text: str) -> None:
        """Log *text* unless it was logged before."""
        with self._lock:
            known = text in self._logged
            self._logged.add(text)
        if not known:
            self.log(text)

    def close(self) -> None:
        """Keep the last status line and begin a new line."""
        with self._lock:
            if self._is_terminal and self._last:
                self._write("\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            pass  # the reader has closed stderr; shipping continues


def estimate_events(behind_bytes: int, counts: Counts, acknowledged_bytes: int) -> int | None:
    """Return the number of lines in *behind_bytes* at the mean length so far; None before the first line."""
    if not behind_bytes:
        return 0
    return round(behind_bytes * counts.acknowledged / acknowledged_bytes) if acknowledged_bytes else None


def find_oldest_age_seconds(root: Path, files: Iterable[TrackedFile], now: datetime) -> float:
    """Return the age of the oldest unacknowledged event, by its ``@timestamp``; 0 if there is none."""
    behind = [file for file in files if file.behind_bytes and not file.is_gone]
    return max(
        (_read_age_seconds(root / file.name, file.acknowledged_offset, now) for file in behind[:_PEEKED_FILES]),
        default=0.0,
    )


def _read_age_seconds(path: Path, offset: int, now: datetime) -> float:
    """Return the age of the line at *offset*: by its timestamp, or by the file's modification time without one."""
    try:
        with os.fdopen(open_file(path), "rb", buffering=0) as file:
            head = os.pread(file.fileno(), _PEEK_BYTES, offset)
            changed_at = os.fstat(file.fileno()).st_mtime
    except OSError:
        return 0.0
    stamped = read_event_time(head.partition(b"\n")[0])
    return max(0.0, now.timestamp() - (stamped.timestamp() if stamped else changed_at))


def _format_first(names: list[str], shown: int = 2) -> str:
    rest = f" (+{len(names) - shown})" if len(names) > shown else ""
    return "; ".join(names[:shown]) + rest


def _format_duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
