"""Which files lie beneath a folder, and to which stream each one's name sends it."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from inferlog_ops.core.streams import STREAMS

_NAME = re.compile(rf"({'|'.join(STREAMS)})-.+\.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A log file as the file system describes it. *name* is relative to the folder, with ``/``."""

    name: str
    stream: str
    device: int
    inode: int
    size: int


@dataclass(slots=True)
class Listing:
    """
    What one look through the folder found.

    Attributes:
        files: The log files.
        left_alone: Names of files that are none of ours.
        problems: What could not be looked at. With one of these a file that is missing may still exist.
    """

    files: list[FoundFile] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def stream_of(file_name: str) -> str | None:
    """Return the stream that *file_name* belongs to, or None if the file is none of ours."""
    match = _NAME.fullmatch(file_name)
    # What cannot be printed can be written into no status line and no position file.
    return match[1] if match and file_name.isprintable() else None


def list_folder(root: Path) -> Listing:
    """
    Look through *root* and all folders beneath it, but for hidden ones.

    Links are not followed: whoever can write there could have any file read that this process may read.
    """
    listing = Listing()
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            for entry in _entries(root / folder):
                name = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{name}/")
                else:
                    _note(listing, name, entry)
        except OSError as error:
            listing.problems.append(f"cannot read the folder {root / folder}: {error.strerror}")
    listing.files.sort(key=lambda file: file.name)
    listing.left_alone.sort()
    return listing


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def _note(listing: Listing, name: str, entry: os.DirEntry[str]) -> None:
    stream = stream_of(entry.name)
    if stream is None or not name.isprintable():
        listing.left_alone.append(name if name.isprintable() else ascii(name))
        return
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        listing.left_alone.append(name)
        return
    listing.files.append(
        FoundFile(name=name, stream=stream, device=status.st_dev, inode=status.st_ino, size=status.st_size)
    )
