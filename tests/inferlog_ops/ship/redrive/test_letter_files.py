import fcntl
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.ship.redrive.letter_files import LetterFile, find_letter_files

DAY = "inferlog.events.20261123.log"
LINES = [b'{"event":{"id":"a"}}', b"no JSON", b'{"event":{"id":"c"}}']


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / DAY).write_bytes(b"".join(line + b"\n" for line in LINES))
    return tmp_path


def process(file: LetterFile, done: set[bytes]) -> None:
    with file.take() as taken:
        for letter in taken.read_letters():
            taken.put(letter, done=letter.raw in done)


def read_contents(folder: Path, pattern: str) -> list[bytes]:
    return [line for path in sorted(folder.glob(pattern)) for line in path.read_bytes().splitlines()]


def test_dead_letter_files_are_found_by_name(folder: Path) -> None:
    for name in ("dead_letters.jsonl", "dead_letters.redrive-20261123T101500Z.jsonl", "inferlog.app.20261123.log"):
        (folder / name).write_bytes(b"{}\n")
    for name in ("positions.json", "inferlog.other.20261123.log", "fluentd.health.20261123.log", "x.log", "lock"):
        (folder / name).write_bytes(b"{}\n")
    (folder / "inferlog.events.20261124.log").touch()
    (folder / "redriven").mkdir()
    assert [file.path.name for file in find_letter_files([folder])] == [
        "dead_letters.jsonl",
        "dead_letters.redrive-20261123T101500Z.jsonl",
        "inferlog.app.20261123.log",
        DAY,
    ]


def test_done_letters_are_put_aside_and_the_rest_is_found_again(folder: Path) -> None:
    (file,) = find_letter_files([folder])
    process(file, {LINES[0]})
    assert read_contents(folder, "redriven/*") == [LINES[0]]
    assert not (folder / DAY).exists()
    (file,) = find_letter_files([folder])
    assert read_contents(folder, "*.log") == LINES[1:]
    process(file, {LINES[2]})
    assert read_contents(folder, "redriven/*") == [LINES[0], LINES[2]]
    (file,) = find_letter_files([folder])
    process(file, {LINES[1]})
    assert find_letter_files([folder]) == []
    assert [path.name for path in (folder / "redriven").iterdir()] == [DAY]


def test_letters_written_during_a_run_are_found_by_the_next_run(folder: Path) -> None:
    (file,) = find_letter_files([folder])
    with file.take() as taken:
        (folder / DAY).write_bytes(b"later\n")
        for letter in taken.read_letters():
            taken.put(letter, done=False)
    assert read_contents(folder, "*.log") == [b"later", *LINES]
    assert len(find_letter_files([folder])) == 2


def test_all_letters_stay_when_the_block_fails(folder: Path) -> None:
    def fail() -> None:
        (file,) = find_letter_files([folder])
        with file.take() as taken:
            taken.put(next(taken.read_letters()), done=True)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read_contents(folder, "*.log") == LINES
    assert list(folder.glob("*.part")) == []


def test_full_disk_is_named_and_all_letters_stay(folder: Path) -> None:
    (folder / "redriven").mkdir()
    (folder / "redriven" / DAY).symlink_to("/dev/full")
    (file,) = find_letter_files([folder])
    with pytest.raises(OperatorError, match=rf"{folder} is on a full disk \(No space left on device\); all letters"):
        process(file, set(LINES))
    assert read_contents(folder, "*.log") == LINES
    assert list(folder.glob("*.part")) == []


def test_take_waits_for_writers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = find_letter_files([folder])
    writer = (folder / DAY).open("ab")

    def close_writer(_seconds: float) -> None:
        writer.write(b"late\n")
        writer.close()

    monkeypatch.setattr("inferlog_ops.core.wait.time.sleep", close_writer)
    process(file, set())
    assert writer.closed
    assert read_contents(folder, "*.log") == [*LINES, b"late"]


def test_take_fails_when_a_writer_keeps_the_file_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferlog_ops.ship.redrive.letter_files._WRITER_SECONDS", 0.2)
    (file,) = find_letter_files([folder])
    with (folder / DAY).open("ab"), pytest.raises(OperatorError, match="still open for writing in another process"):
        process(file, set())
    assert read_contents(folder, "*.log") == LINES


def test_second_redrive_of_a_file_is_rejected(folder: Path) -> None:
    process(LetterFile(folder / DAY), set())
    (file,) = find_letter_files([folder])
    with file.path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OperatorError, match="another inferlog redrive uses"):
            process(file, set())


def test_truncated_last_line_stays(folder: Path) -> None:
    (folder / DAY).write_bytes(LINES[0] + b"\n" + LINES[2][:-3])
    (file,) = find_letter_files([folder])
    process(file, {LINES[0]})
    assert read_contents(folder, "*.log") == [LINES[2][:-3]]


@pytest.mark.parametrize(
    ("name", "fault"),
    [("absent/dead_letters.jsonl", "does not exist"), ("letters.txt", "does not have the name of a dead letter file")],
)
def test_path_without_dead_letters_is_rejected(tmp_path: Path, name: str, fault: str) -> None:
    with pytest.raises(OperatorError, match=fault):
        find_letter_files([tmp_path / name])
