"""What somebody may plant in the log directory, who can write there only: nobody is led out of it, or held up."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inferlog.sinks.retention import Retention
from inferlog.sinks.shipped import is_tailed, shipped_bytes
from inferlog_ops.ship.ack_file import AckFile
from inferlog_ops.ship.batch import Batch
from inferlog_ops.ship.clock_skew import ClockSkew
from inferlog_ops.ship.counters import Counters
from inferlog_ops.ship.discovery import list_folder
from inferlog_ops.ship.offsets import OffsetTracker
from inferlog_ops.ship.positions import replace_file
from inferlog_ops.ship.settings import Settings
from inferlog_ops.ship.status import oldest_age_seconds
from inferlog_ops.ship.tail import Tail
from inferlog_ops.ship.watch import FileDiscovery
from tests.support.shipping import event_ids, write_events

pytestmark = pytest.mark.timeout(20)  # whoever waits for a pipe waits for ever

NAME = "events-planted-1-1.jsonl"
LONG_AGO = 1_000_000_000


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    logs = tmp_path / "logs"
    (logs / ".shipped").mkdir(parents=True)
    return logs


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A file of somebody else's, old enough to be deleted if it were one of ours."""
    path = write_events(tmp_path / "elsewhere" / "events-theirs-1-1.jsonl", event_ids(3))
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
def test_the_sink_neither_follows_nor_opens_nor_counts_what_is_no_file(logs: Path, what: str, elsewhere: Path) -> None:
    path = plant(logs, what, elsewhere)
    publish(logs, {NAME: 10**9})
    retention = Retention(logs, keep_shipped_seconds=0, max_total_bytes=10)
    retention.sweep()
    assert os.path.lexists(path)
    assert elsewhere.exists()
    assert not retention.full(10)


def test_a_pipe_among_the_positions_holds_nobody(logs: Path) -> None:
    os.mkfifo(logs / ".shipped" / "pipe.json")
    os.mkfifo(logs / ".shipped" / "fluentd-events.pos")
    publish(logs, {NAME: 5})
    assert shipped_bytes(logs) == {NAME: 5}
    assert not is_tailed(logs, 1)


@pytest.mark.parametrize("content", ['{"positions":{"a":1e308}}', '{"positions":{"a":"1e9"}}', "[" * 10_000, "\x00"])
def test_positions_that_make_no_sense_ship_nothing(logs: Path, content: str) -> None:
    (logs / ".shipped" / "odd.json").write_text(content)
    assert shipped_bytes(logs).get(NAME, 0) == 0


@pytest.mark.parametrize("what", PLANTED)
def test_the_shipper_leaves_alone_and_names_what_is_no_file(logs: Path, what: str, elsewhere: Path) -> None:
    plant(logs, what, elsewhere)
    write_events(logs / "events-ours-1-1.jsonl", event_ids(1))
    listing = list_folder(logs)
    assert [file.name for file in listing.files] == ["events-ours-1-1.jsonl"]
    assert listing.left_alone == ([] if what == "a directory" else [NAME])
    assert listing.problems == []


@pytest.mark.parametrize("what", PLANTED)
def test_what_takes_a_file_s_place_between_look_and_read_is_not_read(logs: Path, what: str, elsewhere: Path) -> None:
    path = write_events(logs / NAME, event_ids(2))
    ledger = OffsetTracker()
    FileDiscovery(logs, ledger, {}, Counters(), pytest.fail).look()
    (file,) = ledger.files()
    path.unlink()
    plant(logs, what, elsewhere)
    batch = Batch(stream=file.stream)
    with pytest.raises(OSError, match=r"no regular file|symbolic links"):
        Tail(logs, ledger, ClockSkew(), Settings()).read_into(batch, file)
    assert len(batch) == 0
    assert oldest_age_seconds(logs, [file], datetime.now(UTC)) == 0.0


def test_positions_are_written_over_no_file_that_a_link_leads_to(logs: Path, elsewhere: Path) -> None:
    before = elsewhere.read_bytes()
    (logs / ".shipped" / ".one.json.new").symlink_to(elsewhere)
    (logs / ".shipped" / "one.json").symlink_to(elsewhere)
    replace_file(logs / ".shipped" / "one.json", b"{}", durable=False)
    assert elsewhere.read_bytes() == before
    assert (logs / ".shipped" / "one.json").read_bytes() == b"{}"
    assert not (logs / ".shipped" / "one.json").is_symlink()


def test_positions_are_published_in_no_folder_that_a_link_leads_to(logs: Path, elsewhere: Path) -> None:
    (logs / ".shipped").rmdir()
    (logs / ".shipped").symlink_to(elsewhere.parent)
    write_events(logs / NAME, event_ids(1))
    said: list[str] = []
    ledger = OffsetTracker()
    FileDiscovery(logs, ledger, {}, Counters(), said.append).look()
    AckFile(logs, "one", said.append).publish(ledger.files())
    assert [path.name for path in elsewhere.parent.iterdir()] == [elsewhere.name]
    assert "cannot publish positions" in said[0]


def test_a_link_to_a_folder_of_logs_is_not_followed(logs: Path, elsewhere: Path) -> None:
    (logs / "deep").symlink_to(elsewhere.parent)
    assert list_folder(logs).files == []
