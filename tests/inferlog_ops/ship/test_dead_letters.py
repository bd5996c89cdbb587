import errno
import os
from pathlib import Path

import orjson
import pytest

from inferlog_ops.ship.batch import RefusedLine
from inferlog_ops.ship.dead_letters import DeadLetters
from inferlog_ops.ship.offsets import Fingerprint, TrackedFile

FILE = TrackedFile(name="events-a-b.jsonl", stream="events", fingerprint=Fingerprint(device=1, inode=2), size=0)


def build_refused_line(offset: int, text: bytes = b"{") -> RefusedLine:
    return RefusedLine(FILE, offset, "no JSON", text, len(text))


def read_letters(path: Path) -> list[tuple[int, str]]:
    return [(letter["offset"], letter["line"]) for letter in map(orjson.loads, path.read_bytes().splitlines())]


def test_letter_contains_file_offset_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    letters = DeadLetters(path)
    letters.write([build_refused_line(17, b'{"a":"\xff"')])
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


def test_letter_is_written_once_across_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    for _ in range(2):
        letters = DeadLetters(path)
        letters.write([build_refused_line(0), build_refused_line(9), build_refused_line(0)])
        letters.write([build_refused_line(9)])
        letters.close()
    assert read_letters(path) == [(0, "{"), (9, "{")]


def test_different_line_at_the_same_offset_is_a_new_letter(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    letters = DeadLetters(path)
    letters.write([build_refused_line(0, b"{"), build_refused_line(0, b"[")])
    letters.close()
    assert read_letters(path) == [(0, "{"), (0, "[")]


def test_truncated_letter_is_written_again_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    letters = DeadLetters(path)
    letters.write([build_refused_line(0), build_refused_line(9)])
    letters.close()
    os.truncate(path, path.stat().st_size - 5)
    letters = DeadLetters(path)
    letters.write([build_refused_line(9)])
    letters.close()
    assert read_letters(path) == [(0, "{"), (9, "{")]


def test_full_disk_leaves_no_partial_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dead_letters.jsonl"
    letters = DeadLetters(path)
    letters.write([build_refused_line(0)])

    def full_disk(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            letters.write([build_refused_line(9)])
        assert read_letters(path) == [(0, "{")]
    letters.write([build_refused_line(9)])
    letters.close()
    assert read_letters(path) == [(0, "{"), (9, "{")]


def test_foreign_lines_in_the_file_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    path.write_text('# mine\n[]\n{"file":"x"}\n')
    letters = DeadLetters(path)
    letters.write([build_refused_line(0)])
    letters.close()
    assert path.read_bytes().count(b"\n") == 4


def test_new_file_is_created_when_the_old_one_was_moved(tmp_path: Path) -> None:
    path = tmp_path / "dead_letters.jsonl"
    letters = DeadLetters(path)
    letters.write([build_refused_line(0)])
    moved = path.rename(tmp_path / "moved.jsonl")
    letters.write([build_refused_line(9)])
    letters.close()
    assert (read_letters(moved), read_letters(path)) == ([(0, "{")], [(9, "{")])


def test_write_fails_after_close(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "dead_letters.jsonl")
    letters.close()
    with pytest.raises(OSError, match="closed"):
        letters.write([build_refused_line(0)])
