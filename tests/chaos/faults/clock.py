"""A wrong clock: by libfaketime if installed, otherwise by replacing functions of Python's ``time`` module."""

import os
import time
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import Final

from tests.chaos.evidence import read_lines
from tests.chaos.faults.fault import MissedError
from tests.chaos.stack import Stack

_LIBRARY: Final = "libfaketimeMT.so.1"
_FOLDERS: Final = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
)
_INJECTED: Final = Path(__file__).parents[1] / "injected_clock"
OFFSET_FILE: Final = "INFERLOG_CHAOS_CLOCK"
_BACK_SECONDS = -3600


def describe_method() -> str:
    """Return the method of faking the clock, for the report."""
    return "libfaketime" if _find_libfaketime() else "time.time() replaced, since libfaketime is not installed"


def build_fake_clock_environment(file: Path) -> dict[str, str]:
    """Return the environment of a process whose clock is offset by the seconds in *file*."""
    set_clock_offset(file, 0)
    if library := _find_libfaketime():
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            # The monotonic clock is unaffected by changes of the date.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    python_path = os.pathsep.join([str(_INJECTED), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": python_path, OFFSET_FILE: str(file)}


def set_clock_offset(file: Path, seconds: int) -> None:
    """Offset the clock by *seconds*; negative is slow. Takes effect within about a second."""
    draft = file.with_suffix(".new")
    draft.write_text(f"{seconds:+d}\n")
    draft.replace(file)


def _find_libfaketime() -> Path | None:
    candidates = [Path(folder, *below, _LIBRARY) for folder in _FOLDERS for below in ((), ("faketime",))]
    return next((path for path in candidates if os.access(path, os.R_OK)), None)


def set_clock_back(stack: Stack, seconds: float) -> Generator[float]:
    """Set the service's clock back by an hour, then restore it."""
    set_clock_offset(stack.dirs.clock, _BACK_SECONDS)
    try:
        yield seconds
    finally:
        set_clock_offset(stack.dirs.clock, 0)
    if not _has_event_before(time.time() + _BACK_SECONDS / 2, stack.dirs.logs):
        raise MissedError("no event has a wrong time")


def _has_event_before(moment: float, logs: Path) -> bool:
    lines = (line for line in read_lines(logs) if line.stream == "events")
    return any(datetime.fromisoformat(line.content["@timestamp"]).timestamp() < moment for line in lines)
