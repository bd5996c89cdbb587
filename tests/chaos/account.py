"""What became of every line that reached the disk. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from tests.chaos.disk import Line

Dirs = tuple[str, int]
"""A file's name and the first byte of a line in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """
    Lines, counted one by one.

    Attributes:
        written: Lay whole on the disk, in all streams.
        found: Of these, are in the store.
        lost: Of these, are neither in the store nor among the dead letters.
        lost_by_removal: Of the lost, those whose file was deleted before it was shipped.
        duplicated: Documents in the store beyond the first with the same id.
        dead_lettered: Lines among the dead letters.
        twice_a_letter: Dead letters beyond the first of the same line, and those that are in the store as well.
        unknown: Documents in the store that no line on the disk has the id of.
    """

    written: int
    found: int
    lost: int
    lost_by_removal: int
    duplicated: int
    dead_lettered: int
    twice_a_letter: int
    unknown: int


def settle(
    lines: Sequence[Line],
    stored: Counter[tuple[str, str]],
    letters: Sequence[Dirs],
    removed_files: Collection[str] = (),
) -> Account:
    """
    Return what became of *lines*.

    Args:
        lines: All that were on the disk.
        stored: How often each stream and id is in the store.
        letters: The place of each dead letter's line.
        removed_files: Names of the files that were deleted before they were shipped.
    """
    places = set(letters)
    ids = {(line.stream, line.id) for line in lines}
    missing = [line for line in lines if not stored[line.stream, line.id or ""] and _place(line) not in places]
    both = [line for line in lines if line.id and stored[line.stream, line.id] and _place(line) in places]
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


def sequences(lines: Iterable[Line]) -> dict[str, set[int]]:
    """Return the numbers of the inference events on the disk, by the instance that wrote them."""
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for line in lines:
        if line.stream == "events" and line.sequence is not None:
            numbers[line.instance].add(line.sequence)
    return dict(numbers)


def holes(numbers: Mapping[str, AbstractSet[int]]) -> dict[str, int]:
    """Return how many numbers are missing from 0 to the last, by instance, where any is."""
    missing = {instance: max(seen) + 1 - len(seen) for instance, seen in numbers.items()}
    return {instance: count for instance, count in missing.items() if count}


def missing_at_first(numbers: Mapping[str, AbstractSet[int]]) -> dict[str, int]:
    """Return how many of these are before the first that is there: no hole between two events."""
    return {instance: first for instance, seen in numbers.items() if (first := min(seen))}


def _place(line: Line) -> Dirs:
    return line.file, line.offset
