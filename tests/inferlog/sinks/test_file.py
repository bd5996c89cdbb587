import os
import re
import resource
import signal
from pathlib import Path

import pytest

from inferlog.sinks.file import FileLimits, FileSink
from inferlog.sinks.retention import Retention

UNLIMITED = 10**12


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make_sink(
    directory: Path, clock: Clock, *, max_file_bytes: int = UNLIMITED, max_total_bytes: int = UNLIMITED
) -> FileSink:
    return FileSink(
        directory,
        stream="events",
        service="my scoring/service",
        instance_id="0123456789abcdef",
        limits=FileLimits(max_file_bytes=max_file_bytes, max_file_age_seconds=60),
        retention=Retention(directory, keep_shipped_seconds=0, max_total_bytes=max_total_bytes),
        clock=clock,
    )


def contents(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(directory.glob("*.jsonl"))]


def test_the_name_says_stream_service_instance_time_and_number(tmp_path: Path, clock: Clock) -> None:
    make_sink(tmp_path / "logs", clock).write(b"{}\n")
    (path,) = (tmp_path / "logs").iterdir()
    assert re.fullmatch(r"events-my_scoring_service-0123456789abcdef-\d{8}T\d{6}Z-0001\.jsonl", path.name)
    assert path.stat().st_mode & 0o777 == 0o640


def test_nothing_is_made_before_the_first_line(tmp_path: Path, clock: Clock) -> None:
    make_sink(tmp_path / "logs", clock).close()
    assert not (tmp_path / "logs").exists()


def test_a_file_is_closed_before_it_grows_beyond_its_limit(tmp_path: Path, clock: Clock) -> None:
    sink = make_sink(tmp_path, clock, max_file_bytes=10)
    for line in (b"1234\n", b"5678\n", b"9\n"):
        assert sink.write(line)
    assert contents(tmp_path) == [b"1234\n5678\n", b"9\n"]


def test_a_file_is_closed_when_it_is_too_old(tmp_path: Path, clock: Clock) -> None:
    sink = make_sink(tmp_path, clock)
    sink.write(b"1\n")
    clock.seconds = 60
    sink.write(b"2\n")
    clock.seconds = 61
    sink.write(b"3\n")
    assert contents(tmp_path) == [b"1\n2\n", b"3\n"]


def test_each_line_is_one_write(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: sizes.append(len(data)) or write(descriptor, data))
    sink = make_sink(tmp_path, clock)
    sink.write(b"x" * 100_000 + b"\n")
    sink.write(b"y\n")
    assert sizes == [100_001, 2]


def test_a_disk_that_fills_in_mid_line_breaks_that_line_only(tmp_path: Path, clock: Clock) -> None:
    """The kernel's limit on the size of a file stands in for a full disk: it writes short, then refuses."""
    sink = make_sink(tmp_path, clock)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        assert sink.write(b"first\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (9, before[1]))
        assert not sink.write(b"second\n")
        assert not sink.write(b"third\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert sink.write(b"fourth\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert contents(tmp_path) == [b"first\nsec\nfourth\n"]


def test_a_directory_that_cannot_be_made_drops_and_recovers(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "logs").write_text("in the way")
    sink = make_sink(tmp_path / "logs", clock)
    assert not sink.write(b"1\n")
    (tmp_path / "logs").unlink()
    assert not sink.write(b"2\n")  # no look at the disk for every line
    clock.seconds = 2
    assert sink.write(b"3\n")
    assert contents(tmp_path / "logs") == [b"3\n"]


def test_at_the_cap_new_lines_are_dropped_and_what_is_there_stays(tmp_path: Path, clock: Clock) -> None:
    sink = make_sink(tmp_path, clock, max_total_bytes=10)
    assert [sink.write(b"1234\n") for _ in range(3)] == [True, True, False]
    assert contents(tmp_path) == [b"1234\n1234\n"]


def test_a_new_file_takes_no_inode_that_fluentd_would_know_again(tmp_path: Path, clock: Clock) -> None:
    # Most file systems give a new file the inode of the one that was deleted last.
    gone = tmp_path / "events-gone.jsonl"
    gone.write_bytes(b"read while it was there\n")
    inode = gone.stat().st_ino
    (tmp_path / ".shipped").mkdir()
    (tmp_path / ".shipped" / "fluentd-events.pos").write_text(f"{gone}\t{24:016x}\t{inode:016x}\n")
    gone.unlink()
    sink = make_sink(tmp_path, clock)
    assert sink.write(b"1\n")
    (path,) = tmp_path.glob("*.jsonl")
    assert path.read_bytes() == b"1\n"
    assert path.stat().st_ino != inode
