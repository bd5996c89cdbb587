"""Disks that are full, and directories that cannot be written to."""

import itertools
import time
from collections.abc import Generator, Mapping
from pathlib import Path

import psutil

from inferlog_ops.chaos.faults.fault import MissedError
from inferlog_ops.chaos.place import Place
from inferlog_ops.chaos.processes import limit_file_size
from inferlog_ops.chaos.stack import Stack

_HALF_A_LINE_BYTES = 300
_SMALL_FILE_BYTES = 12_000
_LITTLE_BYTES = 16
_ON_ITS_WAY_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0
_ROTATIONS_A_SECOND = 200 / 60
_SECONDS_BETWEEN_LOOKS = 0.1
_WRITABLE, _READ_ONLY = 0o755, 0o555


def small_files(_: Place) -> Mapping[str, str]:
    """Have the service begin a new file every few lines."""
    return {"INFERLOG_MAX_FILE_BYTES": str(_SMALL_FILE_BYTES)}


def small_files_soon_deleted(place: Place) -> Mapping[str, str]:
    """Have it do so, and delete each file as soon as it is shipped."""
    return {**small_files(place), "INFERLOG_KEEP_SHIPPED_SECONDS": "0"}


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


def delete_unshipped(stack: Stack, seconds: float) -> Generator[float]:
    """Delete a file that the shipper, which stands still, has never seen."""
    stack.shipper.suspend()
    try:
        known = {path.name for path in stack.place.logs.iterdir()}
        began = time.monotonic()
        while not (finished := _finished_since(known, stack.place.logs)):
            if time.monotonic() > began + _PATIENCE_SECONDS:
                raise MissedError("no file was begun and finished meanwhile")
            yield _SECONDS_BETWEEN_LOOKS
        stack.keep_files()
        stack.removed.add(finished[0].name)
        finished[0].unlink()
        yield max(0.0, began + seconds - time.monotonic())
    finally:
        stack.shipper.resume()


def _finished_since(known: set[str], logs: Path) -> list[Path]:
    """Return the event files that are none of *known* and have a successor, oldest first."""
    new = sorted(path for path in logs.glob("events-*.jsonl") if path.name not in known)
    return [path for path, later in itertools.pairwise(new) if _writer(path) == _writer(later)]


def _writer(path: Path) -> str:
    return "-".join(path.name.split("-")[:3])


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


def _can_be_written(folder: Path) -> bool:
    try:
        (folder / ".chaos").touch()
    except PermissionError:
        return False
    (folder / ".chaos").unlink()
    return True
