"""How long the shipper needs until all that lay on the disk at one moment is answered."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import orjson

from tests.chaos.dirs import Dirs
from tests.chaos.disk import whole_bytes

_SECONDS_BETWEEN_LOOKS = 0.1


def extent(logs: Path) -> dict[str, int]:
    """Return how many bytes of whole lines each log file holds now."""
    found = {}
    for path in logs.glob("*.jsonl"):
        with suppress(FileNotFoundError):
            found[path.name] = whole_bytes(path)
    return found


def seconds_to_catch_up(place: Dirs, *, timeout_seconds: float, check: Callable[[], None]) -> float | None:
    """
    Wait until all that lies in the log files now is answered; return how long that took, None if it was too long.

    Args:
        place: Where logs and positions lie.
        timeout_seconds: When to give up.
        check: Raises if something has ended that should run.
    """
    began = time.monotonic()
    wanted = extent(place.logs)
    while time.monotonic() - began < timeout_seconds:
        check()
        if is_answered(wanted, place):
            return round(time.monotonic() - began, 1)
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return None


def is_answered(wanted: Mapping[str, int], place: Dirs) -> bool:
    """Return whether the positions in *place* have come to the *wanted* bytes of each file."""
    positions = _positions(place.positions)
    # A file that is gone was shipped before, or it will never be; the count of lines tells which.
    return all(positions.get(name, 0) >= size or not (place.logs / name).exists() for name, size in wanted.items())


def _positions(file: Path) -> dict[str, int]:
    try:
        return {name: row["position"] for name, row in orjson.loads(file.read_bytes())["files"].items()}
    except (FileNotFoundError, ValueError):
        return {}  # not there yet, or one that a fault has spoilt
