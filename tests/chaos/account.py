"""Accounting of every line that reached the disk. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

LinePlace = tuple[str, int]
"""File name and offset of a line's first byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    One complete, non-empty line of a log file.

    Attributes:
        file: Name of its file.
        offset: Offset of its first byte.
        stream: Target stream.
        content: Its JSON object; empty if it is not one.
    """

    file: str
    offset: int
    stream: str
    content: dict[str, Any]

    @property
    def place(self) -> LinePlace:
        return self.file, self.offset

    @property
    def id(self) -> str | None:
        """Its ``event.id``; None without one."""
        event = self.content.get("event")
        event_id = event.get("id") if isinstance(event, dict) else None
        return event_id if isinstance(event_id, str) else None

    @property
    def instance(self) -> str:
        """Id of the process that wrote it."""
        return str(self.content.get("service", {}).get("instance", {}).get("id"))

    @property
    def sequence(self) -> int | None:
        """Its number among the inference events of that process; None for other lines."""
        event = self.content.get("event")
        return event.get("sequence") if isinstance(event, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """
    Number of lines by their end.

    Attributes:
        written: Complete lines on the disk, in all streams.
        found: Of these, lines in the store.
        lost: Of these, lines neither in the store nor among the dead letters.
        lost_by_removal: Of the lost, lines of a file that was deleted before it was shipped.
        duplicated: Documents in the store beyond the first with the same id.
        dead_lettered: Lines among the dead letters.
        twice_a_letter: Dead letters beyond the first of the same line, and dead letters that are also in the store.
        unknown: Documents in the store whose id is on no line of the disk.
    """

    written: int
    found: int
    lost: int
    lost_by_removal: int
    duplicated: int
    dead_lettered: int
    twice_a_letter: int
    unknown: int


def count_lines(
    lines: Sequence[Line],
    stored: Counter[tuple[str, str]],
    letters: Sequence[LinePlace],
    removed_files: Collection[str] = (),
) -> Account:
    """
    Match *lines* with the store and the dead letters.

    Args:
        lines: All lines that were on the disk.
        stored: Number of documents by stream and id.
        letters: Place of each dead letter's line.
        removed_files: Names of the files that were deleted before they were shipped.
    """
    places = set(letters)
    ids = {(line.stream, line.id) for line in lines}
    missing = [line for line in lines if not stored[line.stream, line.id or ""] and line.place not in places]
    both = [line for line in lines if line.id and stored[line.stream, line.id] and line.place in places]
    return Account(
        written=len(lines),
        found=sum(key in ids for key in stored),
        lost=len(missing),
        lost_by_removal=sum(line.file in removed_files for line in missing),
        duplicated=sum(copies - 1 for copies in stored.values()),
        dead_lettered=len(places),
        twice_a_letter=len(letters) - len(places) + len(both),
        unknown=sum(copies for key, copies in stored.items() if key not in ids),
    )


def collect_sequences(lines: Iterable[Line]) -> dict[str, set[int]]:
    """Return the sequence numbers of the inference events on the disk, by instance."""
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for line in lines:
        if line.stream == "events" and line.sequence is not None:
            numbers[line.instance].add(line.sequence)
    return dict(numbers)


def count_gaps(numbers: Mapping[str, AbstractSet[int]]) -> dict[str, int]:
    """Return how many numbers are missing from 0 to the last, by instance; without instances that miss none."""
    missing = {instance: max(seen) + 1 - len(seen) for instance, seen in numbers.items()}
    return {instance: count for instance, count in missing.items() if count}


def count_missing_at_first(numbers: Mapping[str, AbstractSet[int]]) -> dict[str, int]:
    """Return how many numbers are missing before the first, by instance: no gap between two events shows them."""
    return {instance: first for instance, seen in numbers.items() if (first := min(seen))}
