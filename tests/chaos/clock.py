"""A clock that is wrong: by libfaketime where it is installed, else by Python's own ``time`` module."""

import os
from pathlib import Path
from typing import Final

_LIBRARY: Final = "libfaketimeMT.so.1"
_FOLDERS: Final = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
)
_INJECTED: Final = Path(__file__).parent / "injected_clock"
OFFSET_FILE: Final = "INFERLOG_CHAOS_CLOCK"


def method() -> str:
    """Return by what the clock is made wrong, for people."""
    return "libfaketime" if _libfaketime() else "time.time() replaced, since libfaketime is not installed"


def under_a_clock(file: Path) -> dict[str, str]:
    """Return the environment of a process whose clock is wrong by as many seconds as *file* says."""
    set_wrong(file, 0)
    if library := _libfaketime():
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            # Time that never goes back does not, whatever the date is set to.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    python_path = os.pathsep.join([str(_INJECTED), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": python_path, OFFSET_FILE: str(file)}


def set_wrong(file: Path, seconds: int) -> None:
    """Make the clock wrong by *seconds*: below 0 it is slow. It takes effect within about a second."""
    draft = file.with_suffix(".new")
    draft.write_text(f"{seconds:+d}\n")
    draft.replace(file)


def _libfaketime() -> Path | None:
    candidates = [Path(folder, *below, _LIBRARY) for folder in _FOLDERS for below in ((), ("faketime",))]
    return next((path for path in candidates if os.access(path, os.R_OK)), None)
