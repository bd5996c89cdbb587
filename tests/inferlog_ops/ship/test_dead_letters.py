import errno
import os
from pathlib import Path

import orjson
import pytest

from inferlog_ops.ship.dead_letters import DeadLetters
from inferlog_ops.ship.lines import RefusedLine
from inferlog_ops.ship.offsets import Fingerprint, TrackedFile

FILE = TrackedFile(name="events-a-b.jsonl", stream="events", identity=Fingerprint(device=1, inode=2), size=0)


def refused(offset: int, text: bytes = b"{") -> RefusedLine:
    return RefusedLine(FILE, offset, "no JSON", text, len(text))


def written(path: Path) -> list[tuple[int, str]]:
    return [(letter["offset"], letter["line"]) for letter in map(orjson.loads, path.read_bytes().splitlines())]


def test_a_letter_says_where_the_line_stands_and_why_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    letters = DeadLetters(path)
    letters.write([refused(17, b'{"a":"\xff"')])
    letters.close()
    letter = orjson.loads(path.read_bytes())
    assert letter.pop("time").endswith("Z")
    assert letter == {
        "stream": "events",
        "file": "events-a-b.jsonl",
        "offset": 17,
        "reason": "no JSON",
        "line_bytes": 8,
        "line": '{"a":"\\xff"',
    }


def test_a_letter_is_not_written_twice_not_even_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    for _ in range(2):
        letters = DeadLetters(path)
        letters.write([refused(0), refused(9), refused(0)])
        letters.write([refused(9)])
        letters.close()
    assert written(path) == [(0, "{"), (9, "{")]


def test_another_line_at_the_same_place_is_another_letter(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    letters = DeadLetters(path)
    letters.write([refused(0, b"{"), refused(0, b"[")])
    letters.close()
    assert written(path) == [(0, "{"), (0, "[")]


def test_a_letter_that_a_crash_cut_in_half_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    letters = DeadLetters(path)
    letters.write([refused(0), refused(9)])
    letters.close()
    os.truncate(path, path.stat().st_size - 5)
    letters = DeadLetters(path)
    letters.write([refused(9)])
    letters.close()
    assert written(path) == [(0, "{"), (9, "{")]


def test_a_full_disk_leaves_no_half_letter_and_the_next_try_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dead_letters.jsonl"
    letters = DeadLetters(path)
    letters.write([refused(0)])

    def full_disk(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            letters.write([refused(9)])
        assert written(path) == [(0, "{")]
    letters.write([refused(9)])
    letters.close()
    assert written(path) == [(0, "{"), (9, "{")]


def test_lines_by_another_hand_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    path.write_text('# mine\n[]\n{"file":"x"}\n')
    letters = DeadLetters(path)
    letters.write([refused(0)])
    letters.close()
    assert path.read_bytes().count(b"\n") == 4


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    letters = DeadLetters(path)
    letters.write([refused(0)])
    moved = path.rename(tmp_path / "moved.jsonl")
    letters.write([refused(9)])
    letters.close()
    assert (written(moved), written(path)) == ([(0, "{")], [(9, "{")])


def test_whoever_writes_after_the_end_is_refused(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "dead_letters.jsonl")
    letters.close()
    with pytest.raises(OSError, match="closed"):
        letters.write([refused(0)])
