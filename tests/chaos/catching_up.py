"""Time until the shipper has acknowledged all bytes that are on the disk now."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import orjson

from tests.chaos.evidence import count_whole_bytes
from tests.chaos.trial_dirs import TrialDirs

_SECONDS_BETWEEN_POLLS = 0.1


def measure_extent(logs: Path) -> dict[str, int]:
    """Return the size of the complete lines in each log file."""
    found = {}
    for path in logs.glob("*.jsonl"):
        with suppress(FileNotFoundError):
            found[path.name] = count_whole_bytes(path)
    return found


def wait_for_catch_up(dirs: TrialDirs, *, timeout_seconds: float, check: Callable[[], None]) -> float | None:
    """
    Wait until all bytes now in the log files are acknowledged; return the seconds, or None after a timeout.

    Args:
        dirs: Directories of logs and offsets.
        timeout_seconds: Maximum wait.
        check: Raises if a process has ended unexpectedly.
    """
    began = time.monotonic()
    wanted = measure_extent(dirs.logs)
    while time.monotonic() - began < timeout_seconds:
        check()
        if is_acknowledged(wanted, dirs):
            return round(time.monotonic() - began, 1)
        time.sleep(_SECONDS_BETWEEN_POLLS)
    return None


def is_acknowledged(wanted: Mapping[str, int], dirs: TrialDirs) -> bool:
    """Return whether the saved offsets have reached the *wanted* size of each file."""
    positions = _read_positions(dirs.positions)
    # A deleted file was shipped before, or is lost: the account of lines covers both.
    return all(positions.get(name, 0) >= size or not (dirs.logs / name).exists() for name, size in wanted.items())


def _read_positions(file: Path) -> dict[str, int]:
    try:
        return {name: row["position"] for name, row in orjson.loads(file.read_bytes())["files"].items()}
    except (FileNotFoundError, ValueError):
        return {}  # not written yet, or corrupted by a fault
