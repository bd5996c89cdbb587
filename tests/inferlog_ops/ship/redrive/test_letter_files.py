import fcntl
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.ship.redrive.letter_files import LetterFile, find

DAY = "inferlog.events.20261123.log"
LINES = [b'{"event":{"id":"a"}}', b"no JSON", b'{"event":{"id":"c"}}']


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / DAY).write_bytes(b"".join(line + b"\n" for line in LINES))
    return tmp_path


def settle(file: LetterFile, done: set[bytes]) -> None:
    with file.taken() as taken:
        for letter in taken.letters():
            taken.settle(letter, done=letter.raw in done)


def contents(folder: Path, pattern: str) -> list[bytes]:
    return [line for path in sorted(folder.glob(pattern)) for line in path.read_bytes().splitlines()]


def test_dead_letters_are_known_by_their_names(folder: Path) -> None:
    for name in ("dead_letters.jsonl", "dead_letters.redrive-20261123T101500Z.jsonl", "inferlog.app.20261123.log"):
        (folder / name).write_bytes(b"{}\n")
    for name in ("positions.json", "inferlog.other.20261123.log", "fluentd.health.20261123.log", "x.log", "lock"):
        (folder / name).write_bytes(b"{}\n")
    (folder / "inferlog.events.20261124.log").touch()
    (folder / "redriven").mkdir()
    assert [file.path.name for file in find([folder])] == [
        "dead_letters.jsonl",
        "dead_letters.redrive-20261123T101500Z.jsonl",
        "inferlog.app.20261123.log",
        DAY,
    ]


def test_what_is_done_is_put_aside_and_the_rest_is_found_again(folder: Path) -> None:
    (file,) = find([folder])
    settle(file, {LINES[0]})
    assert contents(folder, "redriven/*") == [LINES[0]]
    assert not (folder / DAY).exists()
    (file,) = find([folder])
    assert contents(folder, "*.log") == LINES[1:]
    settle(file, {LINES[2]})
    assert contents(folder, "redriven/*") == [LINES[0], LINES[2]]
    (file,) = find([folder])
    settle(file, {LINES[1]})
    assert find([folder]) == []
    assert [path.name for path in (folder / "redriven").iterdir()] == [DAY]


def test_what_comes_meanwhile_begins_a_new_file_that_the_next_run_finds(folder: Path) -> None:
    (file,) = find([folder])
    with file.taken() as taken:
        (folder / DAY).write_bytes(b"later\n")
        for letter in taken.letters():
            taken.settle(letter, done=False)
    assert contents(folder, "*.log") == [b"later", *LINES]
    assert len(find([folder])) == 2


def test_everything_stays_when_it_fails_half_way(folder: Path) -> None:
    def fail() -> None:
        (file,) = find([folder])
        with file.taken() as taken:
            taken.settle(next(taken.letters()), done=True)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert contents(folder, "*.log") == LINES
    assert list(folder.glob("*.part")) == []


def test_whoever_is_still_writing_is_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = find([folder])
    writer = (folder / DAY).open("ab")

    def end_of_writing(_seconds: float) -> None:
        writer.write(b"late\n")
        writer.close()

    monkeypatch.setattr("inferlog_ops.ship.redrive.letter_files.time.sleep", end_of_writing)
    settle(file, set())
    assert writer.closed
    assert contents(folder, "*.log") == [*LINES, b"late"]


def test_a_file_that_is_kept_open_to_write_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferlog_ops.ship.redrive.letter_files._WRITER_SECONDS", 0.2)
    (file,) = find([folder])
    with (folder / DAY).open("ab"), pytest.raises(OperatorError, match="still open to write in another process"):
        settle(file, set())
    assert contents(folder, "*.log") == LINES


def test_two_at_once_are_refused(folder: Path) -> None:
    settle(LetterFile(folder / DAY), set())
    (file,) = find([folder])
    with file.path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OperatorError, match="another inferlog redrive works with"):
            settle(file, set())


def test_a_last_line_that_was_cut_stays(folder: Path) -> None:
    (folder / DAY).write_bytes(LINES[0] + b"\n" + LINES[2][:-3])
    settle(*find([folder]), {LINES[0]})
    assert contents(folder, "*.log") == [LINES[2][:-3]]


@pytest.mark.parametrize(
    ("name", "fault"), [("absent/dead_letters.jsonl", "there is no"), ("letters.txt", "is not named as dead letters")]
)
def test_a_place_without_dead_letters_is_refused(tmp_path: Path, name: str, fault: str) -> None:
    with pytest.raises(OperatorError, match=fault):
        find([tmp_path / name])
