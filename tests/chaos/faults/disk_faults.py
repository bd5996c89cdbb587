"""Disks that are full, and directories that cannot be written to."""

import fcntl
import os
import time
from collections.abc import Generator, Mapping
from pathlib import Path

import psutil

from tests.chaos.dirs import Dirs
from tests.chaos.faults.fault import MissedError
from tests.chaos.processes import limit_file_size
from tests.chaos.stack import Stack

_HALF_A_LINE_BYTES = 300
_SMALL_FILE_BYTES = 12_000
_SMALL_DIRECTORY_BYTES = 300_000
_WITHOUT_LOCKS = Path(__file__).parents[1] / "injected_no_locks"
_LITTLE_BYTES = 16
_ON_ITS_WAY_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0
_ROTATIONS_A_SECOND = 200 / 60
_SECONDS_BETWEEN_LOOKS = 0.1
_WRITABLE, _READ_ONLY = 0o755, 0o555


def small_files(_: Dirs) -> Mapping[str, str]:
    """Have the service begin a new file every few lines."""
    return {"INFERLOG_MAX_FILE_BYTES": str(_SMALL_FILE_BYTES)}


def small_files_soon_deleted(place: Dirs) -> Mapping[str, str]:
    """Have it do so, and delete each file as soon as it is shipped."""
    return {**small_files(place), "INFERLOG_KEEP_SHIPPED_SECONDS": "0"}


def small_directory(place: Dirs) -> Mapping[str, str]:
    """Give the log directory room for a few seconds of load."""
    return {**small_files(place), "INFERLOG_MAX_TOTAL_BYTES": str(_SMALL_DIRECTORY_BYTES)}


def no_locks(place: Dirs) -> Mapping[str, str]:
    """Have ``flock()`` fail in the service, as on a network mount without locks, and shipped files soon deleted."""
    python_path = os.pathsep.join([str(_WITHOUT_LOCKS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**small_files_soon_deleted(place), "PYTHONPATH": python_path}


def disk_full_for_service(stack: Stack, seconds: float) -> Generator[float]:
    """Let none of the service's files grow by more than half a line; of a worker that replaces another one, either."""
    limited: set[int] = set()
    ends_at = time.monotonic() + seconds
    try:
        while time.monotonic() < ends_at:
            for worker in stack.server.workers():
                if worker.pid not in limited and (size_bytes := _largest_open_file(worker)):
                    limit_file_size([worker.pid], size_bytes + _HALF_A_LINE_BYTES)
                    limited.add(worker.pid)
            yield _SECONDS_BETWEEN_LOOKS
    finally:
        limit_file_size(limited, None)


def disk_full_for_shipper(stack: Stack, seconds: float) -> Generator[float]:
    """Let the shipper write next to nothing: no positions, no dead letters, no lines of its own."""
    pids = stack.shipper.pids
    limit_file_size(pids, _LITTLE_BYTES)
    try:
        yield _ON_ITS_WAY_SECONDS  # what it has written may still come to its place
        saved = stack.place.positions.stat().st_mtime_ns
        yield max(0.0, seconds - _ON_ITS_WAY_SECONDS)
        if stack.place.positions.stat().st_mtime_ns != saved:
            raise MissedError("the shipper has saved its positions all the same")
    finally:
        limit_file_size(pids, None)


def read_only_logs(stack: Stack, seconds: float) -> Generator[float]:
    """Let no file be made in the log directory."""
    logs = stack.place.logs
    logs.chmod(_READ_ONLY)
    try:
        if _can_be_written(logs):
            raise MissedError(f"this user may write into {logs} whatever its mode says")
        yield seconds
    finally:
        logs.chmod(_WRITABLE)


def rotations(stack: Stack, seconds: float) -> Generator[float]:
    """Have the files rotate 200 times a minute, and be deleted as soon as they are shipped."""
    before = _files_so_far(stack)
    yield seconds
    if (count := _files_so_far(stack) - before) < seconds * _ROTATIONS_A_SECOND:
        raise MissedError(f"there were only {count} rotations in {seconds:.0f} s")


def directory_full(stack: Stack, seconds: float) -> Generator[float]:
    """Have nothing shipped, so that the log directory reaches its limit; wait until each process writes again."""
    stack.shipper.suspend()
    try:
        yield seconds
    finally:
        stack.shipper.resume()
    resumed, began = time.time(), time.monotonic()
    while not all(written > resumed for written in _last_written(stack).values()):
        if time.monotonic() > began + _PATIENCE_SECONDS:
            raise MissedError(f"a process has not written again within {_PATIENCE_SECONDS:.0f} s of room being made")
        yield _SECONDS_BETWEEN_LOOKS


def without_locks(stack: Stack, seconds: float) -> Generator[float]:
    """Have the service write, rotate and delete without locks, as it has since its start."""
    before = _files_so_far(stack)
    yield seconds
    if _files_so_far(stack) == before:
        raise MissedError("no file was begun meanwhile")
    if locked := [path.name for path in stack.place.logs.glob("events-*.jsonl") if _is_locked(path)]:
        raise MissedError(f"the service holds locks all the same: {locked[0]}")
    if all(path.exists() for path in _log_files_of(stack)):
        raise MissedError("no file was deleted after it was shipped")


def _largest_open_file(worker: psutil.Process) -> int:
    """Return how large the largest file is that it has open, in bytes; 0 if it has none, or is no more."""
    try:
        sizes = [Path(file.path).stat().st_size for file in worker.open_files() if file.path.endswith(".jsonl")]
    except (psutil.NoSuchProcess, FileNotFoundError):
        return 0
    return max(sizes, default=0)


def _files_so_far(stack: Stack) -> int:
    stack.keep_files()
    return sum(1 for _ in stack.place.kept.glob("events-*.jsonl"))


def _last_written(stack: Stack) -> dict[str, float]:
    """Return when each process last wrote an event; Unix time."""
    last: dict[str, float] = {}
    for path in stack.place.kept.glob("events-*.jsonl"):
        writer = "-".join(path.name.split("-")[:3])
        last[writer] = max(last.get(writer, 0.0), path.stat().st_mtime)
    return last


def _log_files_of(stack: Stack) -> list[Path]:
    return [stack.place.logs / path.name for path in stack.place.kept.glob("events-*.jsonl")]


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _can_be_written(folder: Path) -> bool:
    try:
        (folder / ".chaos").touch()
    except PermissionError:
        return False
    (folder / ".chaos").unlink()
    return True
