"""What Fluentd notes about the files that it tails: a line each, ``path TAB position TAB inode``, in hexadecimal."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from inferlog.sinks.safe_open import read_file

# Fluentd writes each number with 16 digits; a line that is being written may hold fewer, and a smaller number.
_ENTRY = re.compile(r"^([^\t\n]+)\t([0-9a-f]{16})\t([0-9a-f]{16})$", re.MULTILINE | re.IGNORECASE)
_UNWATCHED = 2**64 - 1
_STREAM = re.compile(r"-(events|app|health|content)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    How far one file is read.

    Attributes:
        name: The file's name; its folder may have another path where Fluentd runs.
        inode: Its number in the file system, by which Fluentd knows it again.
        position: Bytes from its beginning.
    """

    name: str
    inode: int
    position: int


def read_entries(path: Path) -> Iterator[Entry]:
    """
    Yield what the position file *path* says about files that Fluentd still watches.

    Raises:
        OSError: If it cannot be read.
    """
    for match in _ENTRY.finditer(read_file(path).decode(errors="surrogateescape")):
        position, inode = int(match[2], 16), int(match[3], 16)
        if position != _UNWATCHED:
            yield Entry(name=PurePosixPath(match[1]).name, inode=inode, position=position)


def shipper_of(path: Path) -> str:
    """Return whose position file *path* is: Fluentd has one for each stream, ``fluentd-events.pos`` and so on."""
    return _STREAM.sub("", path.stem)
