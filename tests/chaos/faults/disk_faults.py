"""Full disks, read-only directories, and rotations."""

import fcntl
import os
import time
from collections.abc import Generator, Mapping
from pathlib import Path

import psutil

from tests.chaos.faults.fault import MissedError
from tests.chaos.processes import limit_file_size
from tests.chaos.stack import Stack
from tests.chaos.trial_dirs import TrialDirs

_HALF_A_LINE_BYTES = 300
_SMALL_FILE_BYTES = 12_000
_SMALL_DIRECTORY_BYTES = 300_000
_WITHOUT_LOCKS = Path(__file__).parents[1] / "injected_no_locks"
_LITTLE_BYTES = 16
_ON_ITS_WAY_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0
_ROTATIONS_A_SECOND = 200 / 60
_SECONDS_BETWEEN_POLLS = 0.1
_WRITABLE, _READ_ONLY = 0o755, 0o555


def limit_files(_: TrialDirs) -> Mapping[str, str]:
    """Make the service rotate every few lines."""
    return {"INFERLOG_MAX_FILE_BYTES": str(_SMALL_FILE_BYTES)}


def limit_and_delete_files(dirs: TrialDirs) -> Mapping[str, str]:
    """Rotate every few lines, and delete each file as soon as it is shipped."""
    return {**limit_files(dirs), "INFERLOG_KEEP_SHIPPED_SECONDS": "0"}


def limit_directory(dirs: TrialDirs) -> Mapping[str, str]:
    """Limit the log directory to a few seconds of load."""
    return {**limit_files(dirs), "INFERLOG_MAX_TOTAL_BYTES": str(_SMALL_DIRECTORY_BYTES)}


def disable_locks(dirs: TrialDirs) -> Mapping[str, str]:
    """Make ``flock()`` fail in the service, as on a network mount without locks; delete shipped files at once."""
    python_path = os.pathsep.join([str(_WITHOUT_LOCKS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**limit_and_delete_files(dirs), "PYTHONPATH": python_path}


def fill_disk_of_service(stack: Stack, seconds: float) -> Generator[float]:
    """Limit the files of the service to half a line more, also in workers that start later."""
    limited: set[int] = set()
    ends_at = time.monotonic() + seconds
    try:
        while time.monotonic() < ends_at:
            for worker in stack.server.list_workers():
                if worker.pid not in limited and (size_bytes := _measure_largest_open_file(worker)):
                    limit_file_size([worker.pid], size_bytes + _HALF_A_LINE_BYTES)
                    limited.add(worker.pid)
            yield _SECONDS_BETWEEN_POLLS
    finally:
        limit_file_size(limited, None)


def fill_disk_of_shipper(stack: Stack, seconds: float) -> Generator[float]:
    """Limit the shipper's files to a few bytes: no offsets, no dead letters, no log lines."""
    pids = stack.shipper.pids
    limit_file_size(pids, _LITTLE_BYTES)
    try:
        yield _ON_ITS_WAY_SECONDS  # a complete draft may still be renamed
        saved = stack.dirs.positions.stat().st_mtime_ns
        yield max(0.0, seconds - _ON_ITS_WAY_SECONDS)
        if stack.dirs.positions.stat().st_mtime_ns != saved:
            raise MissedError("the shipper still saved its offsets")
    finally:
        limit_file_size(pids, None)


def make_logs_read_only(stack: Stack, seconds: float) -> Generator[float]:
    """Let no file be made in the log directory."""
    logs = stack.dirs.logs
    logs.chmod(_READ_ONLY)
    try:
        if _is_writable(logs):
            raise MissedError(f"this user can write into {logs} despite its mode")
        yield seconds
    finally:
        logs.chmod(_WRITABLE)


def rotate_files(stack: Stack, seconds: float) -> Generator[float]:
    """Rotate files 200 times a minute, and delete each as soon as it is shipped."""
    before = _count_files(stack)
    yield seconds
    if (count := _count_files(stack) - before) < seconds * _ROTATIONS_A_SECOND:
        raise MissedError(f"only {count} rotations in {seconds:.0f} s")


def fill_directory(stack: Stack, seconds: float) -> Generator[float]:
    """Suspend the shipper until the log directory reaches its limit; then wait until each process writes again."""
    stack.shipper.suspend()
    try:
        yield seconds
    finally:
        stack.shipper.resume()
    resumed, began = time.time(), time.monotonic()
    while not all(written > resumed for written in _read_last_writes(stack).values()):
        if time.monotonic() > began + _PATIENCE_SECONDS:
            raise MissedError(f"a process has not written within {_PATIENCE_SECONDS:.0f} s after space was freed")
        yield _SECONDS_BETWEEN_POLLS


def run_without_locks(stack: Stack, seconds: float) -> Generator[float]:
    """Let the service write, rotate and delete without locks, as it has since its start."""
    before = _count_files(stack)
    yield seconds
    if _count_files(stack) == before:
        raise MissedError("no file was rotated")
    if locked := [path.name for path in stack.dirs.logs.glob("events-*.jsonl") if _is_locked(path)]:
        raise MissedError(f"the service still holds locks: {locked[0]}")
    if all(path.exists() for path in _list_log_files(stack)):
        raise MissedError("no file was deleted after it was shipped")


def _measure_largest_open_file(worker: psutil.Process) -> int:
    """Return the size of the largest open log file, in bytes; 0 without one or if the worker has ended."""
    try:
        sizes = [Path(file.path).stat().st_size for file in worker.open_files() if file.path.endswith(".jsonl")]
    except (psutil.NoSuchProcess, FileNotFoundError):
        return 0
    return max(sizes, default=0)


def _count_files(stack: Stack) -> int:
    stack.keep_files()
    return sum(1 for _ in stack.dirs.kept.glob("events-*.jsonl"))


def _read_last_writes(stack: Stack) -> dict[str, float]:
    """Return each process's last write of an event; Unix time."""
    last: dict[str, float] = {}
    for path in stack.dirs.kept.glob("events-*.jsonl"):
        writer = "-".join(path.name.split("-")[:3])
        last[writer] = max(last.get(writer, 0.0), path.stat().st_mtime)
    return last


def _list_log_files(stack: Stack) -> list[Path]:
    return [stack.dirs.logs / path.name for path in stack.dirs.kept.glob("events-*.jsonl")]


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _is_writable(folder: Path) -> bool:
    try:
        (folder / ".chaos").touch()
    except PermissionError:
        return False
    (folder / ".chaos").unlink()
    return True
