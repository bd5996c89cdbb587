"""What is read from files that grow, change and disappear, up to the batches; nothing is sent here."""

import errno
import os
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferlog.sinks.safe_open import open_file
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.ship import tail
from inferlog_ops.ship.batch import LONG_LINE_KEPT_BYTES, Batch
from inferlog_ops.ship.clock_skew import ClockSkew
from inferlog_ops.ship.counters import Counters
from inferlog_ops.ship.lines import RefusedLine
from inferlog_ops.ship.offsets import OffsetTracker
from inferlog_ops.ship.positions import PositionFile
from inferlog_ops.ship.reader import Reader
from inferlog_ops.ship.schedule import Schedule
from inferlog_ops.ship.settings import MEBIBYTE, Settings
from inferlog_ops.ship.tail import Tail
from inferlog_ops.ship.watch import FileDiscovery
from tests.support.shipping import QUICK, event_ids, event_line, write_events

NAME = "events-scoring-1-1.jsonl"
SMALL = replace(QUICK, read_bytes=64, line_bytes=300, bulk_events=7, bulk_bytes=1_000)


@dataclass
class Reading:
    """Everything before the network, driven by hand."""

    root: Path
    settings: Settings
    ledger: OffsetTracker
    watch: FileDiscovery
    counters: Counters
    said: list[str]

    def read(self) -> list[Batch]:
        """Look once, and return what there is to send, in the order in which it is sent."""
        schedule = Schedule(stream_batches=10_000, shortened_seconds=0)
        tail = Tail(self.root, self.ledger, ClockSkew(), self.settings)
        reader = Reader(watch=self.watch, tail=tail, ledger=self.ledger, schedule=schedule, settings=self.settings)
        reader.run_once(threading.Event())
        schedule.close()
        return list(iter(schedule.take, None))

    def answer(self, batches: list[Batch]) -> None:
        for batch in batches:
            self.ledger.settle(batch.spans)


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    return begin_reading(tmp_path)


def begin_reading(root: Path, settings: Settings = SMALL) -> Reading:
    logs = root / "logs"
    logs.mkdir(exist_ok=True)
    ledger, counters, said = OffsetTracker(), Counters(), list[str]()
    saved = PositionFile(root / "positions.json", "test").load(said.append)
    return Reading(logs, settings, ledger, FileDiscovery(logs, ledger, saved, counters, said.append), counters, said)


def save(reading: Reading) -> None:
    PositionFile(reading.root.parent / "positions.json", "test").save(reading.ledger.files())


def ids(batches: list[Batch]) -> list[str]:
    return [line.id for batch in batches for line in batch.lines]


def refused(batches: list[Batch]) -> list[RefusedLine]:
    return [line for batch in batches for line in batch.refused]


pieces_of_lines = st.lists(
    st.one_of(
        st.integers(0, 999).map(lambda number: event_line(f"id{number}")),
        st.sampled_from([b"\n", b"{half\n", b"[]\n", b" \r\n"]),
        st.integers(0, 700).map(lambda length: event_line("long", message="x" * length)),
    ),
    max_size=25,
)


@given(lines=pieces_of_lines, cuts=st.lists(st.floats(0, 1), max_size=12), answered=st.booleans())
def test_however_the_bytes_arrive_the_same_lines_come_out_once(
    lines: list[bytes], cuts: list[float], answered: bool
) -> None:
    content = b"".join(lines)
    with in_folder() as whole, in_folder() as piecewise:
        (whole.root / NAME).write_bytes(content)
        expected = whole.read()
        batches: list[Batch] = []
        ends = sorted(int(cut * len(content)) for cut in cuts)
        for begin, end in zip([0, *ends], [*ends, len(content)], strict=True):
            with (piecewise.root / NAME).open("ab") as file:
                file.write(content[begin:end])
            batches += piecewise.read()
            if answered:
                piecewise.answer(batches)
        places = [(line.offset, line.head) for batch in batches for line in batch.lines]
        assert places == [(line.offset, line.head) for batch in expected for line in batch.lines]
        assert [line[1:] for line in refused(batches)] == [line[1:] for line in refused(expected)]
        piecewise.answer(batches)
        (file_at_end,) = piecewise.ledger.files()
        assert file_at_end.position == len(content)


@contextmanager
def in_folder() -> Iterator[Reading]:
    with tempfile.TemporaryDirectory() as root:
        yield begin_reading(Path(root))


def test_half_a_line_is_waited_for(reading: Reading) -> None:
    line = event_line("a", message="x" * 100)
    path = reading.root / NAME
    path.write_bytes(line[:150])
    assert reading.read() == []
    assert [file.ends_in_half_a_line for file in reading.ledger.files()] == [True]
    path.write_bytes(line)
    assert ids(reading.read()) == ["a"]
    assert [file.ends_in_half_a_line for file in reading.ledger.files()] == [False]


def test_of_a_line_that_is_too_long_only_the_beginning_is_kept(tmp_path: Path) -> None:
    reading = begin_reading(tmp_path, replace(SMALL, read_bytes=5_000, line_bytes=20_000))
    line = event_line("a", message="x" * 100_000)
    (reading.root / NAME).write_bytes(event_line("b") + line + event_line("c"))
    batches = reading.read()
    assert ids(batches) == ["b", "c"]
    (letter,) = refused(batches)
    assert (letter.offset, letter.length) == (len(event_line("b")), len(line) - 1)
    assert letter.text == line[:LONG_LINE_KEPT_BYTES]
    assert letter.reason == f"line too long: {len(line) - 1} bytes, at most 20000 are sent"


def test_a_huge_line_takes_little_memory(tmp_path: Path) -> None:
    reading = begin_reading(tmp_path, Settings())
    with (reading.root / NAME).open("wb") as file:
        file.truncate(64 * MEBIBYTE)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + event_line("after"))
    tracemalloc.start()
    batches = reading.read()
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ids(batches) == ["after"]
    assert [line.length for line in refused(batches)] == [64 * MEBIBYTE]
    assert most_bytes < 4 * MEBIBYTE


def test_a_line_of_the_greatest_length_is_sent(reading: Reading) -> None:
    spare = SMALL.line_bytes - len(event_line("a", message="")) + 1
    (reading.root / NAME).write_bytes(event_line("a", message="x" * spare) + event_line("b", message="x" * (spare + 1)))
    batches = reading.read()
    assert ids(batches) == ["a"]
    assert len(refused(batches)) == 1


def test_a_batch_ends_at_its_number_of_lines_or_bytes(reading: Reading) -> None:
    write_events(reading.root / NAME, event_ids(20))
    assert [len(batch) for batch in reading.read()] == [7, 7, 6]
    write_events(reading.root / NAME, event_ids(8), message="x" * 200)
    assert all(batch.size_bytes < 1_000 + 300 for batch in reading.read())


def test_reading_goes_on_where_the_answers_ended_before_a_restart(reading: Reading) -> None:
    write_events(reading.root / NAME, event_ids(14))
    first, _ = reading.read()
    reading.answer([first])
    save(reading)
    assert ids(begin_reading(reading.root.parent).read()) == event_ids(14)[7:]


def replaced_by_a_shorter_file(path: Path) -> None:
    path.write_bytes(event_line("new"))


def replaced_by_a_file_with_another_inode(path: Path) -> None:
    content = event_line("new") + path.read_bytes()
    path.rename(path.with_name("kept.txt"))
    path.write_bytes(content)


def replaced_within_the_same_inode(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(0)
        while file.tell() < size + 100:
            file.write(event_line(f"new{file.tell()}", message="longer"))


REPLACEMENTS = [replaced_by_a_shorter_file, replaced_by_a_file_with_another_inode, replaced_within_the_same_inode]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_another_file_under_the_name_is_read_from_its_beginning(
    replacement: Callable[[Path], None], restarted: bool, reading: Reading
) -> None:
    path = reading.root / NAME
    write_events(path, event_ids(10))
    reading.answer(reading.read())
    save(reading)
    replacement(path)
    after = begin_reading(reading.root.parent) if restarted else reading
    lines = [line.text for batch in after.read() for line in batch.lines]
    assert lines == path.read_bytes().splitlines()
    assert [said for said in after.said if "read from its beginning" in said]


def test_a_position_in_the_midst_of_a_line_is_not_believed(reading: Reading) -> None:
    path = write_events(reading.root / NAME, event_ids(10))
    reading.answer(reading.read())
    reading.ledger.files()[0].position -= 5
    save(reading)
    after = begin_reading(reading.root.parent)
    assert ids(after.read()) == event_ids(10)
    assert path.name in after.said[0]


def test_what_a_file_held_when_it_was_found_may_have_been_sent_before(reading: Reading) -> None:
    path = write_events(reading.root / NAME, event_ids(3))
    assert [batch.doubtful for batch in reading.read()] == [True]
    write_events(path, event_ids(3))
    assert [batch.doubtful for batch in reading.read()] == [False]


def test_no_file_waits_for_the_backlog_of_another(reading: Reading) -> None:
    write_events(reading.root / "events-scoring-1-1.jsonl", event_ids(70, "long"))
    write_events(reading.root / "events-scoring-1-2.jsonl", event_ids(2, "short"))
    write_events(reading.root / "app-scoring-1-1.jsonl", event_ids(2, "app"))
    batches = reading.read()
    assert {batch.stream for batch in batches[:2]} == {"events", "app"}
    assert "short000000" in ids(batches[:4])


def test_small_files_of_one_stream_travel_together(reading: Reading) -> None:
    for number in range(14):
        write_events(reading.root / f"events-scoring-1-{number:02d}.jsonl", [f"e{number:02d}"])
    assert [len(batch) for batch in reading.read()] == [7, 7]


def test_a_file_that_disappears_unshipped_is_counted_as_lost(reading: Reading) -> None:
    path = write_events(reading.root / NAME, event_ids(14))
    size = path.stat().st_size
    first, second = reading.read()
    path.unlink()
    reading.answer([first])
    reading.watch.look()
    assert reading.counters.counts.lost_files == 0, "the rest of it is still on its way"
    reading.answer([second])
    reading.watch.look()
    assert reading.ledger.files() == []
    assert reading.counters.counts.lost_files == 0

    write_events(path, event_ids(7))
    reading.watch.look()
    path.unlink()
    assert reading.read() == []
    assert (reading.counters.counts.lost_files, reading.counters.counts.lost_bytes) == (1, size // 2)


def test_half_a_line_is_neither_behind_nor_lost(reading: Reading) -> None:
    path = write_events(reading.root / NAME, event_ids(3))
    with path.open("ab") as file:
        file.write(b'{"its writer was killed')
    reading.answer(reading.read())
    (file_read,) = reading.ledger.files()
    assert (file_read.behind_bytes, file_read.ends_in_half_a_line) == (0, True)
    path.unlink()
    reading.watch.look()
    assert reading.ledger.files() == []
    assert reading.counters.counts.lost_files == 0


def test_positions_outlive_a_folder_that_is_away_for_a_while(reading: Reading) -> None:
    write_events(reading.root / NAME, event_ids(5))
    reading.answer(reading.read())
    away = reading.root.rename(reading.root.with_name("away"))
    assert reading.read() == []
    away.rename(reading.root)
    assert reading.read() == []
    assert reading.counters.counts.lost_files == 0


def test_a_file_that_may_not_be_read_holds_up_no_other(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = write_events(reading.root / "events-broken.jsonl", ["b"])
    write_events(reading.root / NAME, ["a"])

    def may_open(path: Path) -> int:
        if path == broken:  # a mode would not keep root from it
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_file(path)

    monkeypatch.setattr(tail, "open_file", may_open)
    assert ids(reading.read()) == ["a"]


def test_a_position_file_that_cannot_be_read_is_moved_aside_and_said(reading: Reading) -> None:
    write_events(reading.root / NAME, event_ids(5))
    reading.answer(reading.read())
    save(reading)
    path = reading.root.parent / "positions.json"
    for content in (b"", b"{", b"[]", path.read_bytes().replace(b'"position":', b'"position":-'), b'{"version":1}'):
        path.write_bytes(content)
        after = begin_reading(reading.root.parent)
        assert ids(after.read()) == event_ids(5)
        assert "makes no sense" in after.said[0]
        assert not path.exists()
    assert len(list(reading.root.parent.glob("positions.json.corrupt-*"))) == 5


@pytest.mark.parametrize(
    ("found", "other", "words"),
    [(b'"namespace":"test"', b'"namespace":"other"', "namespace other"), (b'"version":1', b'"version":2', "version 2")],
)
def test_positions_about_something_else_are_refused(found: bytes, other: bytes, words: str, reading: Reading) -> None:
    reading.read()
    save(reading)
    path = reading.root.parent / "positions.json"
    path.write_bytes(path.read_bytes().replace(found, other))
    with pytest.raises(OperatorError, match=words):
        begin_reading(reading.root.parent)


def test_positions_hold_for_a_folder_that_has_moved(reading: Reading) -> None:
    write_events(reading.root / NAME, event_ids(5))
    reading.answer(reading.read())
    save(reading)
    moved = reading.root.parent.rename(reading.root.parent.with_name("moved"))
    assert begin_reading(moved).read() == []


def test_half_a_line_that_is_taken_back_is_read_anew(reading: Reading) -> None:
    path = write_events(reading.root / NAME, ["a"])
    with path.open("ab") as file:
        file.write(b"x" * 200)
    assert ids(reading.read()) == ["a"]
    path.write_bytes(event_line("a"))
    assert reading.read() == []
    write_events(path, ["b", "c", "d"])
    assert ids(reading.read()) == ["b", "c", "d"]
