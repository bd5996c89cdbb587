"""Log files deleted before they are shipped, or while the service writes to them."""

import itertools
import shutil
import time
from collections.abc import Callable, Generator
from pathlib import Path

from tests.chaos.faults.fault import Injection, MissedError
from tests.chaos.hardlinks import link_now
from tests.chaos.stack import Stack

_PATIENCE_SECONDS = 60.0
_SECONDS_BETWEEN_POLLS = 0.1
_SECONDS_BETWEEN_REMOVALS = 3.0
_NOTICED_SECONDS = 1.5  # the promised second, plus the time of the next request


def delete_unshipped(stack: Stack, seconds: float) -> Generator[float]:
    """Delete a file that the suspended shipper has never seen."""
    stack.shipper.suspend()
    try:
        known = {path.name for path in stack.dirs.logs.iterdir()}
        began = time.monotonic()
        while not (finished := _find_finished_since(known, stack.dirs.logs)):
            if time.monotonic() > began + _PATIENCE_SECONDS:
                raise MissedError("no file was created and finished")
            yield _SECONDS_BETWEEN_POLLS
        stack.keep_files()
        stack.removed.add(finished[0].name)
        finished[0].unlink()
        yield max(0.0, began + seconds - time.monotonic())
    finally:
        stack.shipper.resume()


def remove_in_use(remove: Callable[[Stack], None]) -> Injection:
    """Return an injection that calls *remove* every few seconds while the service writes."""

    def inject(stack: Stack, seconds: float) -> Generator[float]:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            stack.removed |= {path.name for path in stack.dirs.logs.glob("*.jsonl")}
            stack.keep_files()
            remove(stack)
            yield _NOTICED_SECONDS
            if not list(stack.dirs.logs.glob("events-*.jsonl")):
                raise MissedError(f"the service has not created a new file within {_NOTICED_SECONDS} s")
            yield max(0.0, _SECONDS_BETWEEN_REMOVALS - _NOTICED_SECONDS)

    return inject


def delete_files(stack: Stack) -> None:
    for path in stack.dirs.logs.glob("*.jsonl"):
        path.unlink(missing_ok=True)


def rename_files(stack: Stack) -> None:
    """Rename all log files, as logrotate does by default."""
    for path in stack.dirs.logs.glob("*.jsonl"):
        path.replace(f"{path}.1")


def remove_directory(stack: Stack) -> None:
    """Remove the log directory atomically, so that each file in it is either linked or never created."""
    removed = stack.dirs.root / "removed"
    stack.dirs.logs.rename(removed)
    link_now(removed, stack.dirs.kept)
    stack.removed |= {path.name for path in removed.glob("*.jsonl")}
    shutil.rmtree(removed)


def _find_finished_since(known: set[str], logs: Path) -> list[Path]:
    """Return the event files not in *known* that have a successor, oldest first."""
    new = sorted(path for path in logs.glob("events-*.jsonl") if path.name not in known)
    return [path for path, later in itertools.pairwise(new) if _parse_writer(path) == _parse_writer(later)]


def _parse_writer(path: Path) -> str:
    return "-".join(path.name.split("-")[:3])
