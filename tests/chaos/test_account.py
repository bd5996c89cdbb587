"""Account of known lines."""

from collections import Counter
from pathlib import Path

from tests.chaos.account import Account, Line, collect_sequences, count_gaps, count_lines, count_missing_at_first
from tests.chaos.evidence import count_whole_bytes, read_lines

FILE = "events-scoring-1-1.jsonl"


def _build_line(number: int, *, file: str = FILE, event_id: str | None = None, instance: str = "a") -> Line:
    event = {"id": event_id or f"e{number}", "sequence": number}
    content = {"event": event, "service": {"instance": {"id": instance}}}
    return Line(file=file, offset=number * 100, stream="events", content=content)


def _build_stored(*ids: str) -> Counter[tuple[str, str]]:
    return Counter(("events", each) for each in ids)


def _build_account(**differing: int) -> Account:
    nothing = dict.fromkeys(
        ("written", "found", "lost", "lost_by_removal", "duplicated", "dead_lettered", "twice_a_letter", "unknown"), 0
    )
    return Account(**(nothing | differing))


def test_line_in_store_or_dead_letters_is_not_lost() -> None:
    account = count_lines([_build_line(0), _build_line(1), _build_line(2)], _build_stored("e0", "e1"), [(FILE, 200)])
    assert account == _build_account(written=3, found=2, dead_lettered=1)


def test_line_found_nowhere_is_lost() -> None:
    assert count_lines([_build_line(0), _build_line(1)], _build_stored("e1"), []) == _build_account(
        written=2, found=1, lost=1
    )


def test_line_lost_with_its_file_is_counted_separately() -> None:
    lines = [_build_line(0), _build_line(1, file="events-scoring-1-2.jsonl"), _build_line(2)]
    account = count_lines(lines, _build_stored("e0"), [], removed_files={"events-scoring-1-2.jsonl"})
    assert account == _build_account(written=3, found=1, lost=2, lost_by_removal=1)


def test_each_copy_beyond_the_first_counts_as_duplicate() -> None:
    account = count_lines([_build_line(0), _build_line(1)], _build_stored("e0", "e0", "e0", "e1"), [])
    assert account == _build_account(written=2, found=2, duplicated=2)


def test_document_without_a_line_is_unknown() -> None:
    assert count_lines([_build_line(0)], _build_stored("e0", "other"), []) == _build_account(
        written=1, found=1, unknown=1
    )


def test_id_in_another_stream_does_not_match_a_line() -> None:
    account = count_lines([_build_line(0)], Counter({("app", "e0"): 1}), [])
    assert account == _build_account(written=1, lost=1, unknown=1)


def test_repeated_dead_letter_and_stored_dead_letter_are_counted() -> None:
    account = count_lines([_build_line(0), _build_line(1)], _build_stored("e0"), [(FILE, 0), (FILE, 100), (FILE, 100)])
    assert account == _build_account(written=2, found=1, dead_lettered=2, twice_a_letter=2)


def test_gaps_are_counted_per_instance() -> None:
    lines = [_build_line(0), _build_line(1), _build_line(4), _build_line(0, instance="b"), _build_line(1, instance="b")]
    assert count_gaps(collect_sequences(lines)) == {"a": 2}
    assert count_missing_at_first(collect_sequences(lines)) == {}


def test_numbers_missing_before_first_event_are_counted() -> None:
    numbers = collect_sequences([_build_line(7), _build_line(9), _build_line(0, instance="b")])
    assert count_gaps(numbers) == {"a": 8}
    assert count_missing_at_first(numbers) == {"a": 7}


def test_read_lines_returns_offsets_and_skips_incomplete_lines(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(b'{"event":{"id":"e0"}}\n\nno json\n{"event":{"id":"e1"}}\n{"event":{"id":"e2"')
    read = [(line.offset, line.id) for line in read_lines(tmp_path)]
    assert read == [(0, "e0"), (23, None), (31, "e1")]
    assert count_whole_bytes(path) == 53
