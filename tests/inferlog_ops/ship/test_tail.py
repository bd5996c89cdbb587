"""Reading of growing, changing and disappearing files into batches, without sending them."""

import errno
import os
import shutil
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog.sinks.safe_open import open_file
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.ship import tail
from inferlog_ops.ship.batch import LONG_LINE_KEPT_BYTES, Batch, RefusedLine
from inferlog_ops.ship.clock_skew import ClockSkew
from inferlog_ops.ship.discovery import FileDiscovery
from inferlog_ops.ship.offset_file import OffsetFile
from inferlog_ops.ship.offsets import OffsetTracker
from inferlog_ops.ship.schedule import Schedule
from inferlog_ops.ship.settings import MEBIBYTE, ShipSettings
from inferlog_ops.ship.status import Counters, Counts
from inferlog_ops.ship.tail import FileTailer, Reader
from tests.support.shipping import QUICK, build_event_line, make_event_ids, write_events

NAME = "events-scoring-1-1.jsonl"
SMALL = replace(QUICK, read_bytes=64, line_bytes=300, bulk_events=7, bulk_bytes=1_000)


@dataclass
class Reading:
    """Discovery, tail and tracker without the network."""

    root: Path
    settings: ShipSettings
    tracker: OffsetTracker
    discovery: FileDiscovery
    counters: Counters
    said: list[str]

    def read(self) -> list[Batch]:
        """Poll once, and return the batches in the order in which they are sent."""
        schedule = Schedule(stream_batches=10_000, shortened_seconds=0)
        tail = FileTailer(self.root, self.tracker, ClockSkew(), self.settings)
        reader = Reader(
            discovery=self.discovery, tail=tail, tracker=self.tracker, schedule=schedule, settings=self.settings
        )
        reader.run_once(threading.Event())
        schedule.close()
        return list(iter(schedule.take, None))

    def acknowledge(self, batches: list[Batch]) -> None:
        for batch in batches:
            self.tracker.acknowledge(batch.byte_ranges)


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    return begin_reading(tmp_path)


def begin_reading(root: Path, settings: ShipSettings = SMALL) -> Reading:
    logs = root / "logs"
    logs.mkdir(exist_ok=True)
    tracker, counters, said = OffsetTracker(), Counters(), list[str]()
    saved = OffsetFile(root / "positions.json", "test").load(said.append)
    discovery = FileDiscovery(logs, tracker, saved, counters, said.append, shipper_id="own")
    return Reading(logs, settings, tracker, discovery, counters, said)


def save(reading: Reading) -> None:
    OffsetFile(reading.root.parent / "positions.json", "test").save(reading.tracker.list_offsets())


def collect_ids(batches: list[Batch]) -> list[str]:
    return [line.id for batch in batches for line in batch.lines]


def collect_refused(batches: list[Batch]) -> list[RefusedLine]:
    return [line for batch in batches for line in batch.refused]


pieces_of_lines = st.lists(
    st.one_of(
        st.integers(0, 999).map(lambda number: build_event_line(f"id{number}")),
        st.sampled_from([b"\n", b"{half\n", b"[]\n", b" \r\n"]),
        st.integers(0, 700).map(lambda length: build_event_line("long", message="x" * length)),
    ),
    max_size=25,
)


@given(lines=pieces_of_lines, cuts=st.lists(st.floats(0, 1), max_size=12), answered=st.booleans())
def test_lines_are_read_once_for_any_split_of_the_bytes(lines: list[bytes], cuts: list[float], answered: bool) -> None:
    content = b"".join(lines)
    with open_reading() as whole, open_reading() as piecewise:
        (whole.root / NAME).write_bytes(content)
        expected = whole.read()
        batches: list[Batch] = []
        ends = sorted(int(cut * len(content)) for cut in cuts)
        for begin, end in zip([0, *ends], [*ends, len(content)], strict=True):
            with (piecewise.root / NAME).open("ab") as file:
                file.write(content[begin:end])
            batches += piecewise.read()
            if answered:
                piecewise.acknowledge(batches)
        places = [(line.offset, line.head) for batch in batches for line in batch.lines]
        assert places == [(line.offset, line.head) for batch in expected for line in batch.lines]
        assert [line[1:] for line in collect_refused(batches)] == [line[1:] for line in collect_refused(expected)]
        piecewise.acknowledge(batches)
        (file_at_end,) = piecewise.tracker.list_files()
        assert file_at_end.acknowledged_offset == len(content)


@contextmanager
def open_reading() -> Iterator[Reading]:
    with tempfile.TemporaryDirectory() as root:
        yield begin_reading(Path(root))


def test_partial_line_is_read_when_it_is_complete(reading: Reading) -> None:
    line = build_event_line("a", message="x" * 100)
    path = reading.root / NAME
    path.write_bytes(line[:150])
    assert reading.read() == []
    assert [file.has_partial_line for file in reading.tracker.list_files()] == [True]
    path.write_bytes(line)
    assert collect_ids(reading.read()) == ["a"]
    assert [file.has_partial_line for file in reading.tracker.list_files()] == [False]


def test_letter_keeps_only_the_beginning_of_a_too_long_line(tmp_path: Path) -> None:
    reading = begin_reading(tmp_path, replace(SMALL, read_bytes=5_000, line_bytes=20_000))
    line = build_event_line("a", message="x" * 100_000)
    (reading.root / NAME).write_bytes(build_event_line("b") + line + build_event_line("c"))
    batches = reading.read()
    assert collect_ids(batches) == ["b", "c"]
    (letter,) = collect_refused(batches)
    assert (letter.offset, letter.length) == (len(build_event_line("b")), len(line) - 1)
    assert letter.text == line[:LONG_LINE_KEPT_BYTES]
    assert letter.reason == f"line too long: {len(line) - 1} bytes, the limit is 20000"


def test_huge_line_uses_little_memory(tmp_path: Path) -> None:
    reading = begin_reading(tmp_path, ShipSettings())
    with (reading.root / NAME).open("wb") as file:
        file.truncate(64 * MEBIBYTE)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + build_event_line("after"))
    tracemalloc.start()
    batches = reading.read()
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert collect_ids(batches) == ["after"]
    assert [line.length for line in collect_refused(batches)] == [64 * MEBIBYTE]
    assert most_bytes < 4 * MEBIBYTE


def test_line_of_the_maximum_length_is_sent(reading: Reading) -> None:
    spare = SMALL.line_bytes - len(build_event_line("a", message="")) + 1
    (reading.root / NAME).write_bytes(
        build_event_line("a", message="x" * spare) + build_event_line("b", message="x" * (spare + 1))
    )
    batches = reading.read()
    assert collect_ids(batches) == ["a"]
    assert len(collect_refused(batches)) == 1


def test_batch_ends_at_its_limit_of_lines_or_bytes(reading: Reading) -> None:
    write_events(reading.root / NAME, make_event_ids(20))
    assert [len(batch) for batch in reading.read()] == [7, 7, 6]
    write_events(reading.root / NAME, make_event_ids(8), message="x" * 200)
    assert all(batch.size_bytes < 1_000 + 300 for batch in reading.read())


def test_reading_continues_at_the_acknowledged_offset_after_a_restart(reading: Reading) -> None:
    write_events(reading.root / NAME, make_event_ids(14))
    first, _ = reading.read()
    reading.acknowledge([first])
    save(reading)
    assert collect_ids(begin_reading(reading.root.parent).read()) == make_event_ids(14)[7:]


def replace_by_a_shorter_file(path: Path) -> None:
    path.write_bytes(build_event_line("new"))


def replace_by_a_file_with_another_inode(path: Path) -> None:
    content = build_event_line("new") + path.read_bytes()
    path.rename(path.with_name("kept.txt"))
    path.write_bytes(content)


def replace_within_the_same_inode(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(0)
        while file.tell() < size + 100:
            file.write(build_event_line(f"new{file.tell()}", message="longer"))


def rewrite_with_the_same_size(path: Path) -> None:
    changed_at_ns = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes().replace(b"e0", b"f0"))
    os.utime(path, ns=(changed_at_ns, changed_at_ns + 1_000_000))  # the clock of the file system may not have ticked


REPLACEMENTS = [
    replace_by_a_shorter_file,
    replace_by_a_file_with_another_inode,
    replace_within_the_same_inode,
    rewrite_with_the_same_size,
]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_replaced_file_is_read_from_its_beginning(
    replacement: Callable[[Path], None], restarted: bool, reading: Reading
) -> None:
    path = reading.root / NAME
    write_events(path, make_event_ids(10))
    reading.acknowledge(reading.read())
    save(reading)
    replacement(path)
    after = begin_reading(reading.root.parent) if restarted else reading
    lines = [line.text for batch in after.read() for line in batch.lines]
    assert lines == path.read_bytes().splitlines()
    assert [said for said in after.said if "read from its beginning" in said]


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_unread_bytes_of_a_replaced_file_are_counted_as_lost(
    replacement: Callable[[Path], None], reading: Reading
) -> None:
    path = write_events(reading.root / NAME, make_event_ids(10))
    size = path.stat().st_size
    reading.discovery.poll()
    settings = replace(SMALL, read_bytes=size // 2)
    batch = Batch(stream="events")
    FileTailer(reading.root, reading.tracker, ClockSkew(), replace(settings, bulk_events=4)).read_into(
        batch, reading.tracker.list_files()[0]
    )
    unread = size - batch.size_bytes
    assert unread > 0
    replacement(path)
    reading.read()
    reading.acknowledge([batch])
    reading.discovery.forget_gone(drops_in_flight=True)
    assert (reading.counters.counts.lost_files, reading.counters.counts.lost_bytes) == (1, unread)
    assert f"{unread} bytes of the old content were not shipped" in reading.said[0]


@pytest.mark.parametrize("kept_lines", [0, 2])
def test_unread_lines_that_a_truncation_removes_are_counted_as_lost(kept_lines: int, reading: Reading) -> None:
    path = write_events(reading.root / NAME, make_event_ids(10))
    size = path.stat().st_size
    reading.discovery.poll()
    kept = size // 10 * kept_lines
    os.truncate(path, kept)
    assert collect_ids(reading.read()) == make_event_ids(kept_lines)
    assert (reading.counters.counts.lost_files, reading.counters.counts.lost_bytes) == (1, size - kept)
    assert reading.said == [f"{NAME} was truncated to {kept} bytes: {size - kept} bytes of it were not shipped"]


@pytest.mark.parametrize("change", [*REPLACEMENTS, Path.unlink])
def test_lines_in_flight_of_an_old_file_are_counted_as_lost_at_the_end(
    change: Callable[[Path], None], reading: Reading
) -> None:
    path = write_events(reading.root / NAME, make_event_ids(10))
    size = path.stat().st_size
    first, _ = reading.read()
    change(path)
    reading.read()
    assert reading.counters.counts.lost_files == 0
    reading.acknowledge([first])
    reading.discovery.forget_gone(drops_in_flight=True)
    assert (reading.counters.counts.lost_files, reading.counters.counts.lost_bytes) == (1, size - first.size_bytes)


def test_file_that_was_replaced_while_no_shipper_ran_is_not_counted_as_lost(reading: Reading) -> None:
    path = write_events(reading.root / NAME, make_event_ids(10))
    reading.acknowledge(reading.read())
    save(reading)
    for replacement in REPLACEMENTS:
        replacement(path)
        after = begin_reading(reading.root.parent)
        after.acknowledge(after.read())
        save(after)
        assert after.counters.counts == Counts()


def test_file_is_read_from_its_beginning_when_the_offset_is_inside_a_line(reading: Reading) -> None:
    path = write_events(reading.root / NAME, make_event_ids(10))
    reading.acknowledge(reading.read())
    reading.tracker.list_files()[0].acknowledged_offset -= 5
    save(reading)
    after = begin_reading(reading.root.parent)
    assert collect_ids(after.read()) == make_event_ids(10)
    assert path.name in after.said[0]


def test_lines_found_at_discovery_may_be_stored(reading: Reading) -> None:
    path = write_events(reading.root / NAME, make_event_ids(3))
    assert [batch.maybe_stored for batch in reading.read()] == [True]
    write_events(path, make_event_ids(3))
    assert [batch.maybe_stored for batch in reading.read()] == [False]


@pytest.mark.parametrize(
    ("published", "age_seconds", "maybe_stored"),
    [
        ("own.json", 0, False),
        ("other.json", 0, True),
        ("other.json", 3000, True),
        ("other.json", 3700, False),
        ("fluentd-events.pos", 0, True),
        (".other.json.new", 0, False),
    ],
)
def test_lines_may_be_stored_while_another_shipper_is_active(
    published: str, age_seconds: float, maybe_stored: bool, reading: Reading
) -> None:
    path = write_events(reading.root / "deep" / NAME, make_event_ids(3))
    reading.read()
    ack_file = path.parent / ".shipped" / published
    ack_file.parent.mkdir()
    ack_file.touch()
    os.utime(ack_file, (time.time() - age_seconds,) * 2)
    for _ in range(2):
        write_events(path, make_event_ids(3))
        assert [batch.maybe_stored for batch in reading.read()] == [maybe_stored]
    name = Path(published).stem.removesuffix("-events")
    warning = (
        f"the shipper {name} has also shipped {path.parent} within the last hour: "
        "if both ship to the same cluster, stop one of them"
    )
    assert reading.said == [warning] * maybe_stored


def test_backlog_of_a_file_does_not_delay_another(reading: Reading) -> None:
    write_events(reading.root / "events-scoring-1-1.jsonl", make_event_ids(70, "long"))
    write_events(reading.root / "events-scoring-1-2.jsonl", make_event_ids(2, "short"))
    write_events(reading.root / "app-scoring-1-1.jsonl", make_event_ids(2, "app"))
    batches = reading.read()
    assert {batch.stream for batch in batches[:2]} == {"events", "app"}
    assert "short000000" in collect_ids(batches[:4])


def test_small_files_of_one_stream_share_a_batch(reading: Reading) -> None:
    for number in range(14):
        write_events(reading.root / f"events-scoring-1-{number:02d}.jsonl", [f"e{number:02d}"])
    assert [len(batch) for batch in reading.read()] == [7, 7]


def test_file_that_disappears_unshipped_is_counted_as_lost(reading: Reading) -> None:
    path = write_events(reading.root / NAME, make_event_ids(14))
    size = path.stat().st_size
    first, second = reading.read()
    path.unlink()
    reading.acknowledge([first])
    reading.discovery.poll()
    assert reading.counters.counts.lost_files == 0, "the rest of it is still on its way"
    reading.acknowledge([second])
    reading.discovery.poll()
    assert reading.tracker.list_files() == []
    assert reading.counters.counts.lost_files == 0

    write_events(path, make_event_ids(7))
    reading.discovery.poll()
    path.unlink()
    assert reading.read() == []
    assert (reading.counters.counts.lost_files, reading.counters.counts.lost_bytes) == (1, size // 2)


def test_partial_line_is_neither_behind_nor_lost(reading: Reading) -> None:
    path = write_events(reading.root / NAME, make_event_ids(3))
    with path.open("ab") as file:
        file.write(b'{"its writer was killed')
    reading.acknowledge(reading.read())
    (file_read,) = reading.tracker.list_files()
    assert (file_read.behind_bytes, file_read.has_partial_line) == (0, True)
    path.unlink()
    reading.discovery.poll()
    assert reading.tracker.list_files() == []
    assert reading.counters.counts.lost_files == 0


def test_offsets_survive_a_temporarily_missing_folder(reading: Reading) -> None:
    write_events(reading.root / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    away = reading.root.rename(reading.root.with_name("away"))
    assert reading.read() == []
    away.rename(reading.root)
    assert reading.read() == []
    assert reading.counters.counts.lost_files == 0


def test_offsets_survive_an_empty_folder_until_its_volume_is_mounted(reading: Reading) -> None:
    path = write_events(reading.root / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    save(reading)
    volume = reading.root.rename(reading.root.with_name("volume"))
    for _ in range(3):
        unmounted = begin_reading(reading.root.parent)
        assert unmounted.read() == []
        save(unmounted)
        # The shipper itself writes health lines into the empty mount point.
        write_events(reading.root / "health-inferlog_shipper-1.jsonl", ["health"])
        unmounted.acknowledge(unmounted.read())
        assert NAME in unmounted.tracker.list_offsets()
        save(unmounted)
    shutil.rmtree(reading.root)
    volume.rename(reading.root)
    mounted = begin_reading(reading.root.parent)
    assert mounted.read() == []
    assert [file.confirmed_offset for file in mounted.tracker.list_files()] == [path.stat().st_size]


@pytest.mark.parametrize("folder", ["", "mounted", "mounted/below"])
def test_offsets_survive_a_volume_that_is_unmounted_during_a_run(folder: str, reading: Reading) -> None:
    write_events(reading.root / "other" / "events-other-1-1.jsonl", ["other"])
    write_events(reading.root / folder / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    place = reading.root / Path(folder).parts[0] if folder else reading.root
    volume = place.rename(reading.root.with_name("volume"))
    place.mkdir()
    assert reading.read() == []
    write_events(place / "events-new-1-1.jsonl", ["new"])
    reading.acknowledge(reading.read())
    assert reading.read() == []
    shutil.rmtree(place)
    volume.rename(place)
    assert reading.read() == []
    assert reading.counters.counts.lost_files == 0


def test_offsets_survive_a_volume_that_is_unmounted_twice_over_files_of_its_mount_point(reading: Reading) -> None:
    volume, point = reading.root.with_name("volume"), reading.root.with_name("point")
    write_events(volume / NAME, make_event_ids(5))
    write_events(reading.root / "health-inferlog_shipper-1.jsonl", ["health"])
    reading.acknowledge(reading.read())
    for _ in range(2):
        reading.root.rename(point)
        volume.rename(reading.root)
        ids = collect_ids(batches := reading.read())
        reading.acknowledge(batches)
        reading.root.rename(volume)
        point.rename(reading.root)
        assert reading.read() == []
    assert ids == []


@pytest.mark.parametrize("folder", ["lost+found", "closed"])
def test_unreadable_folder_keeps_no_offsets_of_other_folders(
    folder: str, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def scan_readable(path: Path) -> Any:
        if Path(path).name == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return scan(path)

    monkeypatch.setattr("inferlog_ops.ship.discovery.os.scandir", scan_readable)
    (reading.root / folder).mkdir()
    write_events(reading.root / NAME, make_event_ids(5))
    write_events(reading.root / "events-scoring-1-2.jsonl", make_event_ids(5, "f"))
    reading.acknowledge(reading.read())
    (reading.root / NAME).unlink()
    assert reading.read() == []
    assert reading.tracker.list_offsets().keys() == {"events-scoring-1-2.jsonl"}
    assert len(reading.discovery.listing.problems) == (folder == "closed")


def test_offset_of_a_rewritten_file_is_withdrawn_before_it_is_read(reading: Reading) -> None:
    path = write_events(reading.root / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    changes = reading.tracker.changes
    path.write_bytes(b"".join(map(build_event_line, make_event_ids(5, "o"))))
    os.utime(path, ns=(1, 1))
    reading.discovery.poll()
    assert [file.confirmed_offset for file in reading.tracker.list_files()] == [0]
    assert reading.tracker.changes > changes


def test_unreadable_offsets_of_other_shippers_do_not_stop_reading(reading: Reading) -> None:
    (reading.root / ".shipped").symlink_to("x" * 300)
    write_events(reading.root / NAME, make_event_ids(5))
    assert len(collect_ids(reading.read())) == 5


@pytest.mark.parametrize("restarted", [False, True])
def test_offset_of_a_deleted_file_is_forgotten_when_others_of_its_folder_are_there(
    restarted: bool, reading: Reading
) -> None:
    write_events(reading.root / NAME, make_event_ids(5))
    write_events(reading.root / "pod" / NAME, make_event_ids(5, "p"))
    write_events(reading.root / "events-scoring-1-2.jsonl", make_event_ids(5, "f"))
    reading.acknowledge(reading.read())
    save(reading)
    (reading.root / NAME).unlink()
    shutil.rmtree(reading.root / "pod")
    after = begin_reading(reading.root.parent) if restarted else reading
    assert after.read() == []
    assert after.tracker.list_offsets().keys() == {"events-scoring-1-2.jsonl"}


def test_offset_of_a_missing_file_is_forgotten_after_a_week(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_events(reading.root / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    path.unlink()
    now = time.time()
    reading.read()
    monkeypatch.setattr(time, "time", lambda: now + 6 * 24 * 3600)
    reading.read()
    save(reading)
    after = begin_reading(reading.root.parent)
    after.read()
    assert after.tracker.list_offsets().keys() == {NAME}
    monkeypatch.setattr(time, "time", lambda: now + 8 * 24 * 3600)
    after.read()
    assert after.tracker.list_offsets() == {}


def change_device(reading: Reading) -> None:
    path = reading.root.parent / "positions.json"
    device = reading.root.stat().st_dev
    path.write_bytes(path.read_bytes().replace(b'"device":%d' % device, b'"device":%d' % (device + 1)))


def test_offsets_survive_another_device_number(reading: Reading) -> None:
    path = write_events(reading.root / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    save(reading)
    change_device(reading)
    after = begin_reading(reading.root.parent)
    after.discovery.poll()
    assert [file.confirmed_offset for file in after.tracker.list_files()] == [0], "it may be another file"
    assert after.read() == []
    assert [file.confirmed_offset for file in after.tracker.list_files()] == [path.stat().st_size]
    write_events(path, ["new"])
    assert collect_ids(after.read()) == ["new"]
    assert after.said == []


def test_other_file_of_the_same_size_and_inode_on_another_device_is_read(reading: Reading) -> None:
    path = write_events(reading.root / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    save(reading)
    change_device(reading)
    path.write_bytes(path.read_bytes().replace(b"e00000", b"f00000"))
    after = begin_reading(reading.root.parent)
    assert collect_ids(after.read()) == make_event_ids(5, "f")


def test_offsets_of_this_version_are_valid_for_an_earlier_one(reading: Reading) -> None:
    """It reads exactly these keys."""
    write_events(reading.root / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    (reading.root / NAME).unlink()
    reading.read()
    save(reading)
    saved = orjson.loads((reading.root.parent / "positions.json").read_bytes())
    assert saved["version"] == 1
    assert {"device", "inode", "head_bytes", "head_digest", "position"} <= saved["files"][NAME].keys()


def test_offsets_of_an_earlier_version_are_valid(reading: Reading) -> None:
    """It did not save when a file was changed or missing."""
    write_events(reading.root / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    save(reading)
    path = reading.root.parent / "positions.json"
    saved = orjson.loads(path.read_bytes())
    for row in saved["files"].values():
        del row["mtime_ns"], row["missing_since"]
    path.write_bytes(orjson.dumps(saved))
    after = begin_reading(reading.root.parent)
    assert after.read() == []
    assert after.said == []


def test_touched_file_is_not_read_again(reading: Reading) -> None:
    path = write_events(reading.root / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    for seconds in (1, 2):
        os.utime(path, (seconds, seconds))
        assert reading.read() == []
        assert [file.confirmed_offset for file in reading.tracker.list_files()] == [path.stat().st_size]
    assert reading.said == []


def test_unreadable_file_does_not_block_others(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = write_events(reading.root / "events-broken.jsonl", ["b"])
    write_events(reading.root / NAME, ["a"])

    def open_readable(path: Path) -> int:
        if path == broken:  # a file mode would not stop root
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_file(path)

    monkeypatch.setattr(tail, "open_file", open_readable)
    assert collect_ids(reading.read()) == ["a"]


def test_corrupt_offset_file_is_moved_aside_and_logged(reading: Reading) -> None:
    write_events(reading.root / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    save(reading)
    path = reading.root.parent / "positions.json"
    for content in (b"", b"{", b"[]", path.read_bytes().replace(b'"position":', b'"position":-'), b'{"version":1}'):
        path.write_bytes(content)
        after = begin_reading(reading.root.parent)
        assert collect_ids(after.read()) == make_event_ids(5)
        assert "is corrupt" in after.said[0]
        assert not path.exists()
    assert len(list(reading.root.parent.glob("positions.json.corrupt-*"))) == 5


@pytest.mark.parametrize(
    ("found", "other", "words"),
    [(b'"namespace":"test"', b'"namespace":"other"', "namespace other"), (b'"version":1', b'"version":2', "version 2")],
)
def test_offsets_of_another_namespace_or_version_are_rejected(
    found: bytes, other: bytes, words: str, reading: Reading
) -> None:
    reading.read()
    save(reading)
    path = reading.root.parent / "positions.json"
    path.write_bytes(path.read_bytes().replace(found, other))
    with pytest.raises(OperatorError, match=words):
        begin_reading(reading.root.parent)


def test_offsets_remain_valid_when_the_folder_is_moved(reading: Reading) -> None:
    write_events(reading.root / NAME, make_event_ids(5))
    reading.acknowledge(reading.read())
    save(reading)
    moved = reading.root.parent.rename(reading.root.parent.with_name("moved"))
    assert begin_reading(moved).read() == []


def test_removed_partial_line_is_read_again(reading: Reading) -> None:
    path = write_events(reading.root / NAME, ["a"])
    with path.open("ab") as file:
        file.write(b"x" * 200)
    assert collect_ids(reading.read()) == ["a"]
    path.write_bytes(build_event_line("a"))
    assert reading.read() == []
    write_events(path, ["b", "c", "d"])
    assert collect_ids(reading.read()) == ["b", "c", "d"]
