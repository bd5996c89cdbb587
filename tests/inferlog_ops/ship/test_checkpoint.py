import os
from pathlib import Path

import pytest

from inferlog.sinks.shipped import read_bytes_shipped_to_all
from inferlog_ops.ship.checkpoint import AckFile
from inferlog_ops.ship.offsets import Fingerprint, FoundFile, OffsetTracker, TrackedFile

NAME = "events-scoring-1-1.jsonl"


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ack_file(tmp_path: Path, clock: Clock) -> AckFile:
    return AckFile(tmp_path, "one", pytest.fail, clock=clock)


def track(position: int) -> TrackedFile:
    found = FoundFile(name=NAME, stream="events", device=1, inode=2, size=100, mtime_ns=3)
    return OffsetTracker().track(found, Fingerprint(device=1, inode=2), position)


def test_ack_file_contains_the_acknowledged_offset_of_each_file(ack_file: AckFile, tmp_path: Path) -> None:
    ack_file.publish([track(50)])
    assert read_bytes_shipped_to_all(tmp_path) == {NAME: 50}
    ack_file.publish([])
    assert read_bytes_shipped_to_all(tmp_path) == {}


def test_ack_file_is_renewed_when_nothing_changes(ack_file: AckFile, tmp_path: Path, clock: Clock) -> None:
    ack_file.publish([track(50)])
    path = tmp_path / ".shipped" / "one.json"
    os.utime(path, (0, 0))
    clock.seconds = 59
    ack_file.renew()
    assert path.stat().st_mtime == 0
    clock.seconds = 60
    ack_file.renew()
    assert path.stat().st_mtime > 0
    assert read_bytes_shipped_to_all(tmp_path) == {NAME: 50}


def test_ack_file_is_written_again_when_it_was_deleted(ack_file: AckFile, tmp_path: Path, clock: Clock) -> None:
    ack_file.publish([track(50)])
    (tmp_path / ".shipped" / "one.json").unlink()
    clock.seconds = 60
    ack_file.renew()
    assert read_bytes_shipped_to_all(tmp_path) == {NAME: 50}
