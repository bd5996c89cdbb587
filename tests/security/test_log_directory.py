"""Attacks by a user with write access to the log directory: no path leads out of it, and no reader blocks."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inferlog.sinks.retention import Retention
from inferlog.sinks.shipped import is_tailed, read_shipped_bytes
from inferlog_ops.core.files import replace_file
from inferlog_ops.ship.batch import Batch
from inferlog_ops.ship.checkpoint import AckFile
from inferlog_ops.ship.clock_skew import ClockSkew
from inferlog_ops.ship.discovery import FileDiscovery, list_folder
from inferlog_ops.ship.offsets import OffsetTracker
from inferlog_ops.ship.settings import ShipSettings
from inferlog_ops.ship.status import Counters, find_oldest_age_seconds
from inferlog_ops.ship.tail import FileTailer
from tests.support.shipping import make_event_ids, write_events

pytestmark = pytest.mark.timeout(20)  # reading from a pipe would block forever

NAME = "events-planted-1-1.jsonl"
LONG_AGO = 1_000_000_000


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    logs = tmp_path / "logs"
    (logs / ".shipped").mkdir(parents=True)
    return logs


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Foreign file, old enough to be deleted if it were a log file."""
    path = write_events(tmp_path / "elsewhere" / "events-theirs-1-1.jsonl", make_event_ids(3))
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def plant(logs: Path, what: str, elsewhere: Path) -> Path:
    path = logs / NAME
    match what:
        case "a link":
            path.symlink_to(elsewhere)
        case "a link to nothing":
            path.symlink_to(elsewhere.with_name("nothing"))
        case "a link to a device":
            path.symlink_to("/dev/zero")
        case "a pipe":
            os.mkfifo(path)
        case "a directory":
            path.mkdir()
    os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    return path


PLANTED = ["a link", "a link to nothing", "a link to a device", "a pipe", "a directory"]


def publish(logs: Path, positions: dict[str, int]) -> None:
    (logs / ".shipped" / "one.json").write_text(json.dumps({"version": 1, "positions": positions}))


@pytest.mark.parametrize("what", PLANTED)
def test_sink_ignores_links_pipes_and_devices(logs: Path, what: str, elsewhere: Path) -> None:
    path = plant(logs, what, elsewhere)
    publish(logs, {NAME: 10**9})
    retention = Retention(logs, keep_shipped_seconds=0, max_total_bytes=10)
    retention.sweep()
    assert os.path.lexists(path)
    assert elsewhere.exists()
    assert not retention.is_full(10)


def test_pipe_among_offsets_does_not_block(logs: Path) -> None:
    os.mkfifo(logs / ".shipped" / "pipe.json")
    os.mkfifo(logs / ".shipped" / "fluentd-events.pos")
    publish(logs, {NAME: 5})
    assert read_shipped_bytes(logs) == {NAME: 5}
    assert not is_tailed(logs, 1)


@pytest.mark.parametrize("content", ['{"positions":{"a":1e308}}', '{"positions":{"a":"1e9"}}', "[" * 10_000, "\x00"])
def test_invalid_offsets_ship_nothing(logs: Path, content: str) -> None:
    (logs / ".shipped" / "odd.json").write_text(content)
    assert read_shipped_bytes(logs).get(NAME, 0) == 0


@pytest.mark.parametrize("what", PLANTED)
def test_shipper_skips_and_names_links_pipes_and_devices(logs: Path, what: str, elsewhere: Path) -> None:
    plant(logs, what, elsewhere)
    write_events(logs / "events-ours-1-1.jsonl", make_event_ids(1))
    listing = list_folder(logs)
    assert [file.name for file in listing.files] == ["events-ours-1-1.jsonl"]
    assert listing.left_alone == ([] if what == "a directory" else [NAME])
    assert listing.problems == []


@pytest.mark.parametrize("what", PLANTED)
def test_file_replaced_between_discovery_and_read_is_not_read(logs: Path, what: str, elsewhere: Path) -> None:
    path = write_events(logs / NAME, make_event_ids(2))
    tracker = OffsetTracker()
    FileDiscovery(logs, tracker, {}, Counters(), pytest.fail, shipper_id="own").poll()
    (file,) = tracker.list_files()
    path.unlink()
    plant(logs, what, elsewhere)
    batch = Batch(stream=file.stream)
    with pytest.raises(OSError, match=r"not a regular file|symbolic links"):
        FileTailer(logs, tracker, ClockSkew(), ShipSettings()).read_into(batch, file)
    assert len(batch) == 0
    assert find_oldest_age_seconds(logs, [file], datetime.now(UTC)) == 0.0


def test_offsets_never_overwrite_the_target_of_a_link(logs: Path, elsewhere: Path) -> None:
    before = elsewhere.read_bytes()
    (logs / ".shipped" / ".one.json.new").symlink_to(elsewhere)
    (logs / ".shipped" / "one.json").symlink_to(elsewhere)
    replace_file(logs / ".shipped" / "one.json", b"{}", durable=False)
    assert elsewhere.read_bytes() == before
    assert (logs / ".shipped" / "one.json").read_bytes() == b"{}"
    assert not (logs / ".shipped" / "one.json").is_symlink()


def test_offsets_are_never_published_through_a_linked_folder(logs: Path, elsewhere: Path) -> None:
    (logs / ".shipped").rmdir()
    (logs / ".shipped").symlink_to(elsewhere.parent)
    write_events(logs / NAME, make_event_ids(1))
    said: list[str] = []
    tracker = OffsetTracker()
    FileDiscovery(logs, tracker, {}, Counters(), said.append, shipper_id="own").poll()
    AckFile(logs, "one", said.append).publish(tracker.list_files())
    assert [path.name for path in elsewhere.parent.iterdir()] == [elsewhere.name]
    assert "cannot publish offsets" in said[0]


def test_link_to_log_folder_is_not_followed(logs: Path, elsewhere: Path) -> None:
    (logs / "deep").symlink_to(elsewhere.parent)
    assert list_folder(logs).files == []
