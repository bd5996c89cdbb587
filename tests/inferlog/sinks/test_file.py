import errno
import fcntl
import os
import re
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import ANY

import pytest

from inferlog.losses import Losses
from inferlog.recorder import Sink
from inferlog.sinks.file import FileLimits, FileSink, check_directory
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
    directory: Path,
    clock: Clock,
    *,
    max_file_bytes: int = UNLIMITED,
    max_total_bytes: int = UNLIMITED,
    losses: Losses | None = None,
) -> FileSink:
    return FileSink(
        directory,
        stream="events",
        service="my scoring/service",
        instance_id="0123456789abcdef",
        limits=FileLimits(max_file_bytes=max_file_bytes, max_file_age_seconds=60),
        retention=Retention(directory, keep_shipped_seconds=0, max_total_bytes=max_total_bytes),
        losses=losses,
        clock=clock,
    )


def read_contents(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(directory.glob("*.jsonl"))]


def test_file_name_has_stream_service_instance_time_and_number(tmp_path: Path, clock: Clock) -> None:
    make_sink(tmp_path / "logs", clock).write(b"{}\n")
    (path,) = (tmp_path / "logs").iterdir()
    assert re.fullmatch(r"events-my_scoring_service-0123456789abcdef-\d{8}T\d{6}Z-0001\.jsonl", path.name)
    assert path.stat().st_mode & 0o777 == 0o640


def test_no_file_is_created_before_first_line(tmp_path: Path, clock: Clock) -> None:
    make_sink(tmp_path / "logs", clock).close()
    assert not (tmp_path / "logs").exists()


def test_file_is_closed_before_it_grows_beyond_its_limit(tmp_path: Path, clock: Clock) -> None:
    sink = make_sink(tmp_path, clock, max_file_bytes=10)
    for line in (b"1234\n", b"5678\n", b"9\n"):
        assert sink.write(line)
    assert read_contents(tmp_path) == [b"1234\n5678\n", b"9\n"]


def test_file_is_closed_when_it_is_too_old(tmp_path: Path, clock: Clock) -> None:
    sink = make_sink(tmp_path, clock)
    sink.write(b"1\n")
    clock.seconds = 60
    sink.write(b"2\n")
    clock.seconds = 61
    sink.write(b"3\n")
    assert read_contents(tmp_path) == [b"1\n2\n", b"3\n"]


def test_each_line_is_one_write(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    write = os.write

    def counted_write(descriptor: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted_write)
    sink = make_sink(tmp_path, clock)
    sink.write(b"x" * 100_000 + b"\n")
    sink.write(b"y\n")
    assert sizes == [100_001, 2]


@contextmanager
def fill_disk(limit_bytes: int) -> Iterator[None]:
    """Limit every file to *limit_bytes* by the kernel, like a full disk: a short write, then errors."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_disk_full_during_line_breaks_only_that_line(tmp_path: Path, clock: Clock) -> None:
    sink = make_sink(tmp_path, clock)
    assert sink.write(b"first\n")
    with fill_disk(9):
        assert not sink.write(b"second\n")
        assert not sink.write(b"third\n")
    assert sink.write(b"fourth\n")
    assert read_contents(tmp_path) == [b"first\nsec\nfourth\n"]


def test_line_that_lacks_only_its_newline_is_written(tmp_path: Path, clock: Clock) -> None:
    sink = make_sink(tmp_path, clock)
    with fill_disk(5):
        assert sink.write(b"first\n")
        assert not sink.write(b"lost\n")
    assert sink.write(b"second\n")
    assert read_contents(tmp_path) == [b"first\nsecond\n"]


def test_line_after_torn_one_that_lacks_only_its_newline_is_written(tmp_path: Path, clock: Clock) -> None:
    sink = make_sink(tmp_path, clock)
    with fill_disk(2):
        assert not sink.write(b"first\n")
    with fill_disk(len(b"fi\nsecond")):
        assert sink.write(b"second\n")
    sink.close()
    assert read_contents(tmp_path) == [b"fi\nsecond\n"]


def test_newline_of_torn_line_is_not_repeated(tmp_path: Path, clock: Clock) -> None:
    sink = make_sink(tmp_path, clock)
    with fill_disk(2):
        assert not sink.write(b"first\n")
    with fill_disk(3):
        assert not sink.write(b"second\n")
    assert sink.write(b"third\n")
    assert read_contents(tmp_path) == [b"fi\nthird\n"]


def test_line_without_newline_in_closed_file_is_reported(tmp_path: Path, clock: Clock) -> None:
    losses = Losses(clock=clock, write=lambda _: True)
    sink = make_sink(tmp_path, clock, losses=losses)
    with fill_disk(5):
        assert sink.write(b"first\n")
        assert losses.read_last_loss() is None
        sink.close()
    assert losses.read_last_loss() is not None


@pytest.mark.parametrize(("room_bytes", "is_written"), [(6, True), (5, True), (4, False)])
def test_line_is_written_although_exception_ends_its_write(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, room_bytes: int, is_written: bool
) -> None:
    write = os.write

    def write_and_interrupt(descriptor: int, data: bytes) -> int:
        write(descriptor, data)
        raise KeyboardInterrupt

    sink = make_sink(tmp_path, clock)
    with monkeypatch.context() as patch, fill_disk(room_bytes):
        patch.setattr(os, "write", write_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            sink.write(b"first\n")
    assert sink.has_written(b"first\n") == is_written
    assert sink.write(b"second\n")
    assert read_contents(tmp_path) == [b"first"[:room_bytes] + b"\nsecond\n"]


def test_unreadable_folder_of_shipped_offsets_does_not_stop_writing(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / ".shipped").symlink_to("x" * 300)
    sink = make_sink(tmp_path, clock)
    assert sink.write(b"1\n")


def test_file_is_closed_once_by_child_forked_during_close(
    tmp_path: Path, clock: Clock, close_while_forking: Callable[[Sink], list[int]]
) -> None:
    sink = make_sink(tmp_path, clock)
    sink.write(b"1\n")
    assert len(close_while_forking(sink)) == 1


def is_in(directory: Path, link: Path) -> bool:
    return os.path.lexists(link) and directory in link.readlink().parents


def test_descriptor_closed_by_service_raises_in_no_sink(tmp_path: Path, clock: Clock) -> None:
    losses = Losses(clock=clock, write=lambda _: True)
    sink = make_sink(tmp_path, clock, losses=losses)
    for close in (sink.detach_after_fork, sink.close):
        sink.write(b"1\n")
        (link,) = [link for link in Path("/proc/self/fd").iterdir() if is_in(tmp_path, link)]
        os.close(int(link.name))
        close()
    assert losses.read_last_loss() == (f"{tmp_path}: Bad file descriptor", ANY)


def test_lines_are_dropped_until_directory_can_be_created(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "logs").write_text("in the way")
    sink = make_sink(tmp_path / "logs", clock)
    assert not sink.write(b"1\n")
    (tmp_path / "logs").unlink()
    assert not sink.write(b"2\n")  # no look at the disk for every line
    clock.seconds = 2
    assert sink.write(b"3\n")
    assert read_contents(tmp_path / "logs") == [b"3\n"]


def test_new_lines_are_dropped_at_size_limit(tmp_path: Path, clock: Clock) -> None:
    sink = make_sink(tmp_path, clock, max_total_bytes=10)
    assert [sink.write(b"1234\n") for _ in range(3)] == [True, True, False]
    assert read_contents(tmp_path) == [b"1234\n1234\n"]


def test_new_file_avoids_inode_known_to_fluentd(tmp_path: Path, clock: Clock) -> None:
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


def test_file_sink_writes_every_line_without_locks(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    clock.seconds = 10**6  # a machine that is up for long
    sink = make_sink(tmp_path, clock)
    for line in (b"1\n", b"2\n", b"3\n"):
        assert sink.write(line)
    assert read_contents(tmp_path) == [b"1\n2\n3\n"]


def delete(path: Path) -> None:
    path.unlink()


def rename(path: Path) -> None:
    path.rename(f"{path}.1")


def replace(path: Path) -> None:
    path.rename(f"{path}.1")
    path.touch()


def truncate(path: Path) -> None:
    os.truncate(path, 0)


def remove_directory(path: Path) -> None:
    shutil.rmtree(path.parent)


def move_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


@pytest.mark.parametrize("remove", [delete, rename, replace, truncate, remove_directory, move_directory])
def test_removed_file_is_replaced_within_a_second(tmp_path: Path, clock: Clock, remove: Callable[[Path], None]) -> None:
    losses = Losses(clock=clock, write=lambda _: True)
    sink = make_sink(tmp_path / "logs", clock, losses=losses)
    sink.write(b"1\n")
    clock.seconds = 1
    sink.write(b"2\n")
    (path,) = (tmp_path / "logs").iterdir()
    remove(path)
    clock.seconds = 1.4
    assert sink.write(b"between two looks\n")
    clock.seconds = 2
    assert sink.write(b"3\n")
    assert read_contents(tmp_path / "logs")[-1] == b"3\n"
    assert losses.events_removed == 2, "those since the last look"
    sink.close()
    assert losses.events_removed == 2


def test_check_between_two_lines_detects_removal(tmp_path: Path, clock: Clock) -> None:
    losses = Losses(clock=clock, write=lambda _: True)
    sink = make_sink(tmp_path, clock, losses=losses)
    sink.write(b"1\n")
    sink.check_file()
    assert losses.read_last_loss() is None
    (path,) = tmp_path.iterdir()
    path.unlink()
    sink.check_file()
    sink.check_file()
    assert losses.events_removed == 0
    assert losses.read_last_loss() is not None
    assert sink.write(b"2\n")
    assert read_contents(tmp_path) == [b"2\n"]


def test_file_is_kept_when_its_check_fails(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    sink = make_sink(tmp_path, clock)
    sink.write(b"1\n")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "lstat", refuse)
        clock.seconds = 1
        assert sink.write(b"2\n")
    assert read_contents(tmp_path) == [b"1\n2\n"]


def test_directory_check_leaves_no_file(tmp_path: Path) -> None:
    check_directory(tmp_path)
    check_directory(tmp_path / "new" / "logs")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("directory", ["file/logs", "file"])
def test_directory_check_rejects_directory_below_file(tmp_path: Path, directory: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        check_directory(tmp_path / directory)


@pytest.mark.parametrize("directory", ["link", "link/logs", "link/logs/new"])
@pytest.mark.parametrize("target", ["missing", "link"], ids=["dangling", "loop"])
def test_directory_check_rejects_link_to_no_directory(tmp_path: Path, directory: str, target: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(OSError, match=re.escape(f"'{tmp_path / 'link'}'")):
        check_directory(tmp_path / directory)
    assert not make_sink(tmp_path / directory, Clock()).write(b"1\n")


@pytest.mark.parametrize("directory", ["link", "link/logs"])
def test_directory_check_accepts_link_to_directory(tmp_path: Path, clock: Clock, directory: str) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    check_directory(tmp_path / directory)
    assert make_sink(tmp_path / directory, clock).write(b"1\n")


def test_directory_check_accepts_full_disk_and_rejects_read_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = iter([errno.ENOSPC, errno.EDQUOT, errno.EROFS])

    def refuse(**_: object) -> None:
        reason = next(reasons)
        raise OSError(reason, os.strerror(reason), "a name made up")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    check_directory(tmp_path)
    check_directory(tmp_path)
    with pytest.raises(OSError, match="Read-only") as refusal:
        check_directory(tmp_path)
    assert refusal.value.filename == str(tmp_path)
