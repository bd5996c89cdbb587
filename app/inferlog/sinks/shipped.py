"""What shippers have published about a log directory: how far each one is, and which of them still count."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from inferlog.sinks.position_files import Entry, read_entries, shipper_of
from inferlog.sinks.safe_open import read_file

SHIPPED_DIRECTORY = ".shipped"
"""
Folder in the log directory where a shipper publishes ``{"version": 1, "positions": {file name: bytes}}`` as ``*.json``,
and where Fluentd keeps its position files, ``*.pos``.
"""

SILENT_SECONDS = 3600.0
"""A shipper that fell silent so long before the last one that was heard of is not waited for any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Publication:
    """One shipper's word: how many bytes of each file are answered, as of *published* (Unix time)."""

    positions: Mapping[str, int]
    published: float


def shipped_bytes(directory: Path) -> dict[str, int]:
    """Return for each file name in *directory* how many bytes of it any shipper has seen answered."""
    furthest: dict[str, int] = {}
    for publication in _publications(directory):
        for name, position in publication.positions.items():
            furthest[name] = max(furthest.get(name, 0), position)
    return furthest


def shipped_to_all_bytes(directory: Path) -> dict[str, int]:
    """
    Return for each file name in *directory* how many bytes of it every shipper at work has seen answered.

    Several shippers bring the same files to several stores. Whether one is at work is compared with the others and
    not with the clock: shippers that stop for a while, all of them, still count when they come back.
    """
    publications = list(_publications(directory))
    last_heard_of = max((publication.published for publication in publications), default=0.0)
    at_work = [each.positions for each in publications if last_heard_of - each.published <= SILENT_SECONDS]
    names = {name for positions in at_work for name in positions}
    return {name: min(positions.get(name, 0) for positions in at_work) for name in names}


def is_tailed(directory: Path, inode: int) -> bool:
    """
    Return whether Fluentd would take a file in *directory* with this *inode* for one that it has begun to read.

    It knows a file by nothing else. Many file systems give a deleted file's inode to the next new file, of which
    Fluentd, if it was not there to see the first one go, would skip the beginning.

    A request waits for the answer, so that a position file is parsed only if it has the number in it.
    """
    paths = (directory / SHIPPED_DIRECTORY).glob("*.pos")
    return any(
        entry.inode == inode and entry.position > 0
        for path in paths
        if _holds_inode(path, inode)
        for entry in _entries(path)
    )


def _holds_inode(path: Path, inode: int) -> bool:
    try:
        content = read_file(path)
    except OSError:
        return False
    return any(f"\t{inode:{digits}}".encode() in content for digits in ("016x", "016X"))


def _publications(directory: Path) -> Iterator[_Publication]:
    for path in (directory / SHIPPED_DIRECTORY).glob("*.json"):
        try:
            published = path.stat().st_mtime
        except OSError:
            continue  # removed in between
        yield _Publication(positions=_positions(path), published=published)
    yield from _publications_of_fluentd(directory)


def _publications_of_fluentd(directory: Path) -> Iterator[_Publication]:
    """Yield one publication for each Fluentd: what its position files say together, as of the last one written."""
    positions: defaultdict[str, dict[str, int]] = defaultdict(dict)
    published: defaultdict[str, float] = defaultdict(float)
    for path in (directory / SHIPPED_DIRECTORY).glob("*.pos"):
        try:
            written = path.stat().st_mtime
        except OSError:
            continue  # removed in between
        shipper = shipper_of(path)
        published[shipper] = max(published[shipper], written)
        positions[shipper] |= _of_files_in(directory, _entries(path))
    for shipper, since in published.items():
        yield _Publication(positions=positions[shipper], published=since)


def _of_files_in(directory: Path, entries: Iterable[Entry]) -> dict[str, int]:
    """Return the positions in files that *directory* holds: a name, or an inode, may have become another file's."""
    found = {}
    for entry in entries:
        try:
            if (directory / entry.name).stat().st_ino == entry.inode:
                found[entry.name] = entry.position
        except OSError:
            continue  # deleted
    return found


def _entries(path: Path) -> Iterable[Entry]:
    try:
        return list(read_entries(path))
    except OSError:
        return ()


def _positions(path: Path) -> dict[str, int]:
    """Return what *path* says; a broken word says that nothing is shipped, so that nothing is deleted by it."""
    try:
        positions = orjson.loads(read_file(path))["positions"]
        return {name: int(position) for name, position in positions.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return {}
