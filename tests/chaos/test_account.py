"""What became of lines, worked out from lists that are known."""

from collections import Counter
from pathlib import Path

from tests.chaos.account import Account, holes, missing_at_first, sequences, settle
from tests.chaos.disk import Line, read_lines, whole_bytes

FILE = "events-scoring-1-1.jsonl"


def _line(number: int, *, file: str = FILE, event_id: str | None = None, instance: str = "a") -> Line:
    event = {"id": event_id or f"e{number}", "sequence": number}
    content = {"event": event, "service": {"instance": {"id": instance}}}
    return Line(file=file, offset=number * 100, stream="events", content=content)


def _stored(*ids: str) -> Counter[tuple[str, str]]:
    return Counter(("events", each) for each in ids)


def _account(**differing: int) -> Account:
    nothing = dict.fromkeys(
        ("written", "found", "lost", "lost_by_removal", "duplicated", "dead_lettered", "twice_a_letter", "unknown"), 0
    )
    return Account(**(nothing | differing))


def test_lines_in_the_store_or_among_the_dead_letters_are_not_lost() -> None:
    account = settle([_line(0), _line(1), _line(2)], _stored("e0", "e1"), [(FILE, 200)])
    assert account == _account(written=3, found=2, dead_lettered=1)


def test_a_line_that_is_nowhere_is_lost() -> None:
    assert settle([_line(0), _line(1)], _stored("e1"), []) == _account(written=2, found=1, lost=1)


def test_a_line_lost_with_its_file_is_told_from_others() -> None:
    lines = [_line(0), _line(1, file="events-scoring-1-2.jsonl"), _line(2)]
    account = settle(lines, _stored("e0"), [], removed_files={"events-scoring-1-2.jsonl"})
    assert account == _account(written=3, found=1, lost=2, lost_by_removal=1)


def test_each_copy_beyond_the_first_is_a_duplicate() -> None:
    account = settle([_line(0), _line(1)], _stored("e0", "e0", "e0", "e1"), [])
    assert account == _account(written=2, found=2, duplicated=2)


def test_a_document_that_no_line_has_the_id_of_is_unknown() -> None:
    assert settle([_line(0)], _stored("e0", "other"), []) == _account(written=1, found=1, unknown=1)


def test_an_id_of_another_stream_does_not_stand_for_a_line() -> None:
    account = settle([_line(0)], Counter({("app", "e0"): 1}), [])
    assert account == _account(written=1, lost=1, unknown=1)


def test_dead_letters_of_one_line_and_of_a_line_that_is_stored_are_too_many() -> None:
    account = settle([_line(0), _line(1)], _stored("e0"), [(FILE, 0), (FILE, 100), (FILE, 100)])
    assert account == _account(written=2, found=1, dead_lettered=2, twice_a_letter=2)


def test_holes_are_counted_within_each_instance() -> None:
    lines = [_line(0), _line(1), _line(4), _line(0, instance="b"), _line(1, instance="b")]
    assert holes(sequences(lines)) == {"a": 2}
    assert missing_at_first(sequences(lines)) == {}


def test_what_is_missing_before_an_instances_first_event_counts_too() -> None:
    numbers = sequences([_line(7), _line(9), _line(0, instance="b")])
    assert holes(numbers) == {"a": 8}
    assert missing_at_first(numbers) == {"a": 7}


def test_lines_are_read_with_their_places_and_half_lines_left_out(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(b'{"event":{"id":"e0"}}\n\nno json\n{"event":{"id":"e1"}}\n{"event":{"id":"e2"')
    read = [(line.offset, line.id) for line in read_lines(tmp_path)]
    assert read == [(0, "e0"), (23, None), (31, "e1")]
    assert whole_bytes(path) == 53
