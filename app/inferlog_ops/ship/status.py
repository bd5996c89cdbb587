"""How far the shipper is, for a person and for a program."""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from inferlog.sinks.safe_open import open_file
from inferlog_ops.ship.clock_skew import event_time, is_beyond_limit
from inferlog_ops.ship.counters import Counts
from inferlog_ops.ship.offsets import TrackedFile

_PEEK_BYTES = 4096
_PEEKED_FILES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """
    One look at the shipper.

    Attributes:
        counts: What it has done since it started.
        behind_bytes: What is in the files and not answered, but for half a line at a file's end.
        behind_events: Estimated from *behind_bytes* and the mean length of the lines so far; None if unknown.
        behind_seconds: Age of the oldest event that is not answered; 0 if all are.
        pending: Files that end in half a line.
        retries: How many tries left something to be sent again.
        waiting: Why something is not answered, each reason once.
        clock_skew_seconds: Event timestamps minus this clock, the largest of late; None if nothing was compared.
        left_alone: Files whose names are none of ours.
        no_health_lines: Why the shipper cannot write health lines of its own, if it cannot.
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

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain data, the counts beside the rest."""
        rest = asdict(self)
        counts: dict[str, Any] = rest.pop("counts")
        return counts | rest

    def as_line(self) -> str:
        """Return one line for a person."""
        counts = self.counts
        parts = [
            f"shipped {_number(counts.shipped)}",
            f"behind by {self._behind()}",
            f"refused {_number(counts.dead_lettered)}",
        ]
        if counts.duplicates:
            parts.append(f"already there {_number(counts.duplicates)}")
        if self.pending:
            parts.append(f"half-written {self.pending}")
        if counts.lost_files:
            parts.append(f"gone unshipped {counts.lost_files} files, {_size(counts.lost_bytes)}")
        if self.left_alone:
            parts.append(f"left alone {_named(self.left_alone)}")
        if skew := self.reported_clock_skew_seconds:
            relation = "ahead of" if skew > 0 else "behind"
            parts.append(f"clock skew: events are {_duration(abs(skew))} {relation} this clock")
        if self.no_health_lines:
            parts.append(f"no health lines: {self.no_health_lines}")
        if self.waiting:
            parts.append(f"waits: {_named(self.waiting)}")
        return " · ".join(parts)

    def _behind(self) -> str:
        if not self.behind_bytes:
            return "0"
        events = "" if self.behind_events is None else f"about {_number(self.behind_events)} events, "
        return f"{events}{_size(self.behind_bytes)}, {_duration(self.behind_seconds)}"


def estimated_events(behind_bytes: int, counts: Counts, answered_bytes: int) -> int | None:
    """Return how many lines *behind_bytes* hold if they are as long as those so far; None before the first one."""
    if not behind_bytes:
        return 0
    return round(behind_bytes * counts.answered / answered_bytes) if answered_bytes else None


def oldest_age_seconds(root: Path, files: Iterable[TrackedFile], now: datetime) -> float:
    """Return the age of the oldest event that is not answered, by its own ``@timestamp``; 0 if there is none."""
    behind = [file for file in files if file.behind_bytes and not file.gone]
    return max((_age_seconds(root / file.name, file.position, now) for file in behind[:_PEEKED_FILES]), default=0.0)


def _age_seconds(path: Path, position: int, now: datetime) -> float:
    """Return the age of the line at *position*: by its time, or by the file's if it has none that can be read."""
    try:
        with os.fdopen(open_file(path), "rb", buffering=0) as file:
            head = os.pread(file.fileno(), _PEEK_BYTES, position)
            changed_at = os.fstat(file.fileno()).st_mtime
    except OSError:
        return 0.0
    stamped = event_time(head.partition(b"\n")[0])
    return max(0.0, now.timestamp() - (stamped.timestamp() if stamped else changed_at))


def _number(count: int) -> str:
    return f"{count:,}".replace(",", " ")


def _named(names: list[str], shown: int = 2) -> str:
    rest = f" (+{len(names) - shown})" if len(names) > shown else ""
    return "; ".join(names[:shown]) + rest


def _size(count_bytes: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count_bytes < 1000:
            return f"{count_bytes:.0f} {unit}"
        count_bytes /= 1000
    return f"{count_bytes:.1f} GB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
