"""The shipper's dead letters: which lines it has given up."""

from pathlib import Path

import orjson

from tests.chaos.account import Dirs


def letter_places(file: Path) -> list[Dirs]:
    """Return the place of each dead letter's line; none if there is no *file*."""
    if not file.exists():
        return []
    return [(letter["file"], letter["offset"]) for letter in map(orjson.loads, file.read_bytes().splitlines())]
