"""
Acknowledged offsets of a log directory's shippers: this project's and Fluentd's. The only module with this knowledge.

The retention needs them to delete only shipped files, and the file sink to avoid inodes that Fluentd has already read.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import orjson

from inferlog.sinks.safe_open import read_file

SHIPPED_DIRECTORY = ".shipped"
"""
Subdirectory of the log directory where a shipper writes ``{"version": 1, "positions": {file name: bytes}}`` as
``*.json``, and Fluentd its position files, ``*.pos``.
"""

SILENT_SECONDS = 3600.0
"""Age, relative to the newest ack file, at which a shipper's offsets are ignored."""


# A line is path TAB position TAB inode, in hexadecimal. Fluentd writes each number with 16 digits; a line that is being
# written may have fewer, and so a smaller number.
_ENTRY = re.compile(r"^([^\t\n]+)\t([0-9a-f]{16})\t([0-9a-f]{16})$", re.MULTILINE | re.IGNORECASE)
_UNWATCHED = 2**64 - 1
_STREAM = re.compile(r"-(events|app|health|content)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    Read offset of one file.

    Attributes:
        name: The file's name; its directory may have another path in Fluentd's container.
        inode: Inode number, by which Fluentd identifies the file.
        offset: In bytes.
    """

    name: str
    inode: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _AckedOffsets:
    """Acknowledged offsets of one shipper by file name, as of *published* (Unix seconds)."""

    offsets: Mapping[str, int]
    published: float


def read_shipped_bytes(directory: Path) -> dict[str, int]:
    """Return, by file name in *directory*, the bytes that at least one shipper has had acknowledged."""
    furthest: dict[str, int] = {}
    for acked in _read_acked_offsets(directory):
        for name, offset in acked.offsets.items():
            furthest[name] = max(furthest.get(name, 0), offset)
    return furthest


def read_bytes_shipped_to_all(directory: Path) -> dict[str, int]:
    """
    Return, by file name in *directory*, the bytes that every active shipper has had acknowledged.

    Several shippers send the same files to several stores. A shipper is active relative to the newest ack file, not
    to the clock: if all shippers pause, all still count when they resume.
    """
    shippers = list(_read_acked_offsets(directory))
    last_published = max((each.published for each in shippers), default=0.0)
    active = [each.offsets for each in shippers if last_published - each.published <= SILENT_SECONDS]
    names = {name for offsets in active for name in offsets}
    return {name: min(offsets.get(name, 0) for offsets in active) for name in names}


def is_tailed(directory: Path, inode: int) -> bool:
    """
    Return whether Fluentd would mistake a file in *directory* with this *inode* for one that it is already reading.

    Fluentd identifies a file only by its inode. Many file systems reuse the inode of a deleted file for the next new
    file; if Fluentd has not observed the deletion, it would skip the start of the new file.

    This runs during a request, so a position file is parsed only if it contains the number.
    """
    return any(
        entry.inode == inode and entry.offset > 0
        for path, _ in _list_published(directory, ".pos")
        if _holds_inode(path, inode)
        for entry in _read_available_entries(path)
    )


def find_active_shippers(directory: Path, now: float) -> set[str]:
    """Return the names of the shippers that have published offsets in *directory* in the hour before *now*."""
    published = _list_published(directory, ".json", ".pos")
    return {get_shipper(path) for path, since in published if now - since <= SILENT_SECONDS}


def _list_published(directory: Path, *suffixes: str) -> list[tuple[Path, float]]:
    """Return the files of published offsets with these *suffixes*, each with its modification time in Unix seconds."""
    found = []
    with suppress(OSError), os.scandir(directory / SHIPPED_DIRECTORY) as entries:  # mostly, it does not exist
        for entry in entries:
            with suppress(OSError):  # removed meanwhile
                if entry.name.endswith(suffixes):
                    found.append((Path(entry.path), entry.stat().st_mtime))
    return found


def _holds_inode(path: Path, inode: int) -> bool:
    try:
        content = read_file(path)
    except OSError:
        return False
    return any(f"\t{inode:{digits}}".encode() in content for digits in ("016x", "016X"))


def _read_acked_offsets(directory: Path) -> Iterator[_AckedOffsets]:
    for path, since in _list_published(directory, ".json"):
        yield _AckedOffsets(offsets=_read_ack_file(path), published=since)
    yield from _read_fluentd_offsets(directory)


def _read_fluentd_offsets(directory: Path) -> Iterator[_AckedOffsets]:
    """Yield the offsets of each Fluentd: its position files combined, as of the newest one."""
    offsets: defaultdict[str, dict[str, int]] = defaultdict(dict)
    published: defaultdict[str, float] = defaultdict(float)
    for path, written in _list_published(directory, ".pos"):
        shipper = get_shipper(path)
        published[shipper] = max(published[shipper], written)
        offsets[shipper] |= _filter_existing(directory, _read_available_entries(path))
    for shipper, since in published.items():
        yield _AckedOffsets(offsets=offsets[shipper], published=since)


def _filter_existing(directory: Path, entries: Iterable[Entry]) -> dict[str, int]:
    """Return the offsets of files that exist in *directory* with that inode: names and inodes may be reused."""
    found = {}
    for entry in entries:
        try:
            if (directory / entry.name).stat().st_ino == entry.inode:
                found[entry.name] = entry.offset
        except OSError:
            continue  # deleted
    return found


def _read_available_entries(path: Path) -> Iterable[Entry]:
    try:
        return list(read_entries(path))
    except OSError:
        return ()


def _read_ack_file(path: Path) -> dict[str, int]:
    """Return the offsets in *path*; for an invalid file none, so that it causes no deletion."""
    try:
        offsets = orjson.loads(read_file(path))["positions"]
        return {name: int(offset) for name, offset in offsets.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return {}


def read_entries(path: Path) -> Iterator[Entry]:
    """
    Yield the entries of the position file *path* for files that Fluentd still watches.

    Raises:
        OSError: If it cannot be read.
    """
    for match in _ENTRY.finditer(read_file(path).decode(errors="surrogateescape")):
        offset, inode = int(match[2], 16), int(match[3], 16)
        if offset != _UNWATCHED:
            yield Entry(name=PurePosixPath(match[1]).name, inode=inode, offset=offset)


def get_shipper(path: Path) -> str:
    """Return the shipper's name from *path*: Fluentd has one file per stream, such as ``fluentd-events.pos``."""
    return _STREAM.sub("", path.stem)
