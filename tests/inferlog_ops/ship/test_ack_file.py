import os
from pathlib import Path

import pytest

from inferlog.sinks.shipped import shipped_to_all_bytes
from inferlog_ops.ship.ack_file import AckFile
from inferlog_ops.ship.discovery import FoundFile
from inferlog_ops.ship.offsets import Fingerprint, OffsetTracker, TrackedFile

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
def publication(tmp_path: Path, clock: Clock) -> AckFile:
    return AckFile(tmp_path, "one", pytest.fail, clock=clock)


def tracked(position: int) -> TrackedFile:
    found = FoundFile(name=NAME, stream="events", device=1, inode=2, size=100)
    return OffsetTracker().track(found, Fingerprint(device=1, inode=2), position)


def test_the_writers_learn_how_far_each_file_is(publication: AckFile, tmp_path: Path) -> None:
    publication.publish([tracked(50)])
    assert shipped_to_all_bytes(tmp_path) == {NAME: 50}
    publication.publish([])
    assert shipped_to_all_bytes(tmp_path) == {}


def test_a_shipper_with_nothing_to_do_is_still_heard_of(publication: AckFile, tmp_path: Path, clock: Clock) -> None:
    publication.publish([tracked(50)])
    path = tmp_path / ".shipped" / "one.json"
    os.utime(path, (0, 0))
    clock.seconds = 59
    publication.renew()
    assert path.stat().st_mtime == 0
    clock.seconds = 60
    publication.renew()
    assert path.stat().st_mtime > 0
    assert shipped_to_all_bytes(tmp_path) == {NAME: 50}


def test_a_word_that_somebody_removed_is_given_again(publication: AckFile, tmp_path: Path, clock: Clock) -> None:
    publication.publish([tracked(50)])
    (tmp_path / ".shipped" / "one.json").unlink()
    clock.seconds = 60
    publication.renew()
    assert shipped_to_all_bytes(tmp_path) == {NAME: 50}
