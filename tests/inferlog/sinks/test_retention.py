"""Retention of log files and the housekeeping thread."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import inferlog
from inferlog.sinks.retention import Housekeeping, Retention
from inferlog.sinks.shipped import SILENT_SECONDS, is_tailed, read_bytes_shipped_to_all, read_shipped_bytes
from tests.support.logfiles import Logs
from tests.support.polling import wait_until

HOUR = 3600.0


def write(directory: Path, name: str, size_bytes: int, *, age_seconds: float = 0) -> Path:
    path = directory / name
    path.write_bytes(b"x" * (size_bytes - 1) + b"\n")
    os.utime(path, (time.time() - age_seconds,) * 2)
    return path


def publish(directory: Path, positions: dict[str, int], shipper: str = "one", *, silent_seconds: float = 0.0) -> None:
    path = directory / ".shipped" / f"{shipper}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"version": 1, "positions": positions}))
    os.utime(path, (time.time() - silent_seconds,) * 2)


def note(
    directory: Path,
    positions: dict[Path, int],
    position_file: str = "fluentd-events.pos",
    *,
    silent_seconds: float = 0.0,
) -> None:
    """Write a Fluentd position file; the directory has another path in Fluentd's container."""
    path = directory / ".shipped" / position_file
    path.parent.mkdir(exist_ok=True)
    lines = [
        f"/var/log/inferlog/{file.name}\t{position:016x}\t{file.stat().st_ino:016x}\n"
        for file, position in positions.items()
    ]
    path.write_text("".join(lines))
    os.utime(path, (time.time() - silent_seconds,) * 2)


def list_names(directory: Path) -> set[str]:
    return {path.name for path in directory.glob("*.jsonl")}


def sweep(directory: Path, max_total_bytes: int = 10**9) -> None:
    Retention(directory, keep_shipped_seconds=HOUR, max_total_bytes=max_total_bytes).sweep()


def test_sweep_deletes_only_old_completely_shipped_files(tmp_path: Path) -> None:
    write(tmp_path, "events-old-shipped.jsonl", 10, age_seconds=2 * HOUR)
    write(tmp_path, "events-old-half.jsonl", 10, age_seconds=2 * HOUR)
    write(tmp_path, "events-old-never.jsonl", 10, age_seconds=2 * HOUR)
    write(tmp_path, "events-new-shipped.jsonl", 10)
    publish(tmp_path, {"events-old-shipped.jsonl": 10, "events-old-half.jsonl": 9, "events-new-shipped.jsonl": 10})
    sweep(tmp_path)
    assert list_names(tmp_path) == {"events-old-half.jsonl", "events-old-never.jsonl", "events-new-shipped.jsonl"}


def test_abandoned_half_line_does_not_keep_file(tmp_path: Path) -> None:
    path = write(tmp_path, "events-killed.jsonl", 10, age_seconds=2 * HOUR)
    path.write_bytes(b'{"whole": 1}\n{"ha')
    os.utime(path, (time.time() - 2 * HOUR,) * 2)
    sweep(tmp_path)
    assert list_names(tmp_path) == {"events-killed.jsonl"}
    publish(tmp_path, {"events-killed.jsonl": 13})
    sweep(tmp_path)
    assert list_names(tmp_path) == set()


def test_files_outside_name_pattern_are_kept(tmp_path: Path) -> None:
    for name in ("health-mine.jsonl", "events-theirs.jsonl"):
        write(tmp_path, name, 10, age_seconds=2 * HOUR)
    publish(tmp_path, {"health-mine.jsonl": 10, "events-theirs.jsonl": 10})
    retention = Retention(tmp_path, keep_shipped_seconds=HOUR, max_total_bytes=5, names="health-mine*.jsonl")
    retention.sweep()
    assert list_names(tmp_path) == {"events-theirs.jsonl"}
    assert not retention.is_full(5), "the others' files do not count"


def test_above_total_oldest_shipped_files_go_first(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path, f"events-{number}.jsonl", 10, age_seconds=100 - number)
    publish(tmp_path, {f"events-{number}.jsonl": 10 for number in range(4)})
    sweep(tmp_path, max_total_bytes=25)
    assert list_names(tmp_path) == {"events-2.jsonl", "events-3.jsonl"}


def test_file_open_in_its_writer_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path, "events-a.jsonl", 10, age_seconds=2 * HOUR)
    publish(tmp_path, {"events-a.jsonl": 10})
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_SH)
        sweep(tmp_path)
        assert list_names(tmp_path) == {"events-a.jsonl"}
    sweep(tmp_path)
    assert list_names(tmp_path) == set()


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_finished_file_is_deleted_without_locks_by_age_or_successor(tmp_path: Path) -> None:
    unfinished, finished = 1800, 2 * HOUR
    for name, age_seconds in (
        ("events-a-0-20260101T000000Z-0001.jsonl", finished),
        ("events-b-0-20260101T000000Z-0001.jsonl", unfinished),
        ("events-c-0-20260101T000000Z-0009.jsonl", unfinished),
        ("events-c-0-20260101T000100Z-0010.jsonl", unfinished),
        ("events-without-number.jsonl", unfinished),
    ):
        write(tmp_path, name, 10, age_seconds=age_seconds)
    publish(tmp_path, {path.name: 10 for path in tmp_path.glob("*.jsonl")})
    Retention(tmp_path, keep_shipped_seconds=0, max_total_bytes=10**9, max_file_age_seconds=HOUR).sweep()
    assert list_names(tmp_path) == {
        "events-b-0-20260101T000000Z-0001.jsonl",
        "events-c-0-20260101T000100Z-0010.jsonl",
        "events-without-number.jsonl",
    }


def test_sweep_frees_space_before_directory_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        write(tmp_path, f"events-{number}.jsonl", 10, age_seconds=100 - number)
    publish(tmp_path, {f"events-{number}.jsonl": 10 for number in range(9)})
    retention = Retention(tmp_path, keep_shipped_seconds=HOUR, max_total_bytes=100)
    retention.sweep()
    write(tmp_path, "events-9.jsonl", 9)
    assert not retention.is_full(9), "the reserve is begun"
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 10)
    assert not retention.is_full(10)
    assert "events-0.jsonl" not in list_names(tmp_path)
    assert not retention.is_full(1)


def test_writer_lists_no_directory_with_housekeeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "events-a.jsonl", 95)
    asked = []
    retention = Retention(
        tmp_path, keep_shipped_seconds=HOUR, max_total_bytes=100, start_housekeeping=lambda: asked.append(True)
    )
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", lambda _: pytest.fail("the writer waits for the directory"))
        retention.request_sweep()
        assert not retention.is_full(6), "not measured yet"
    retention.sweep_if_requested()
    assert retention.is_full(6)
    assert asked == [True]


def test_lines_that_are_written_during_sweep_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retention = Retention(tmp_path, keep_shipped_seconds=HOUR, max_total_bytes=100)

    def write_meanwhile(_directory: Path) -> dict[str, int]:
        assert not retention.is_full(60)
        return {}

    monkeypatch.setattr("inferlog.sinks.retention.read_bytes_shipped_to_all", write_meanwhile)
    retention.sweep()
    assert retention.is_full(41)


def test_shipped_bytes_are_maximum_of_all_shippers(tmp_path: Path) -> None:
    publish(tmp_path, {"a.jsonl": 5}, shipper="one")
    publish(tmp_path, {"a.jsonl": 7, "b.jsonl": 1}, shipper="two")
    assert read_shipped_bytes(tmp_path) == {"a.jsonl": 7, "b.jsonl": 1}


def test_sweep_deletes_only_files_shipped_by_every_active_shipper(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path, f"events-{name}.jsonl", 10, age_seconds=2 * HOUR)
    publish(tmp_path, {"events-a.jsonl": 10, "events-b.jsonl": 10, "events-c.jsonl": 10}, shipper="quick")
    publish(tmp_path, {"events-a.jsonl": 10, "events-b.jsonl": 9}, shipper="slow", silent_seconds=60)
    sweep(tmp_path)
    assert list_names(tmp_path) == {"events-b.jsonl", "events-c.jsonl"}


def test_shipper_that_fell_silent_long_before_others_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, "events-a.jsonl", 10, age_seconds=2 * HOUR)
    publish(tmp_path, {"events-a.jsonl": 10}, shipper="at work")
    publish(tmp_path, {"events-a.jsonl": 0}, shipper="gone", silent_seconds=SILENT_SECONDS - 30)
    sweep(tmp_path)
    assert list_names(tmp_path) == {"events-a.jsonl"}
    publish(tmp_path, {"events-a.jsonl": 0}, shipper="gone", silent_seconds=SILENT_SECONDS + 30)
    sweep(tmp_path)
    assert list_names(tmp_path) == set()


def test_shippers_that_all_stopped_still_count(tmp_path: Path) -> None:
    publish(tmp_path, {"a.jsonl": 5, "b.jsonl": 5}, shipper="one", silent_seconds=100 * HOUR)
    publish(tmp_path, {"a.jsonl": 3}, shipper="two", silent_seconds=100 * HOUR + 60)
    publish(tmp_path, {}, shipper="never came back", silent_seconds=200 * HOUR)
    assert read_bytes_shipped_to_all(tmp_path) == {"a.jsonl": 3, "b.jsonl": 0}


def test_invalid_publication_deletes_nothing(tmp_path: Path) -> None:
    write(tmp_path, "events-a.jsonl", 10, age_seconds=2 * HOUR)
    (tmp_path / ".shipped").mkdir()
    for number, text in enumerate(
        ["", "{", "[]", '{"positions": 5}', '{"positions": {"events-a.jsonl": "x"}}', "\xff"]
    ):
        (tmp_path / ".shipped" / f"{number}.json").write_text(text, "latin-1")
    sweep(tmp_path)
    assert list_names(tmp_path) == {"events-a.jsonl"}
    publish(tmp_path, {"events-a.jsonl": 10}, shipper="whole")
    sweep(tmp_path)
    assert list_names(tmp_path) == {"events-a.jsonl"}, "the others may have meant to keep it"


def test_space_is_freed_after_shipper_has_caught_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retention = Retention(tmp_path, keep_shipped_seconds=HOUR, max_total_bytes=100)
    write(tmp_path, "events-a.jsonl", 95)
    retention.sweep()
    assert retention.is_full(10)
    publish(tmp_path, {"events-a.jsonl": 95})
    assert retention.is_full(10)  # looked at a moment ago
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 2)
    (tmp_path / "events-b.jsonl").write_bytes(b"x" * 20)
    assert not retention.is_full(10)
    assert list_names(tmp_path) == {"events-b.jsonl"}


def test_file_read_completely_by_fluentd_is_deleted(tmp_path: Path) -> None:
    done, half, never = (write(tmp_path, f"events-{name}.jsonl", 10, age_seconds=2 * HOUR) for name in "abc")
    note(tmp_path, {done: 10, half: 9})
    sweep(tmp_path)
    assert list_names(tmp_path) == {half.name, never.name}


def test_position_files_of_one_fluentd_count_together(tmp_path: Path) -> None:
    event = write(tmp_path, "events-a.jsonl", 10, age_seconds=2 * HOUR)
    other = write(tmp_path, "app-a.jsonl", 10, age_seconds=2 * HOUR)
    note(tmp_path, {event: 10})
    note(tmp_path, {other: 10}, "fluentd-app.pos", silent_seconds=SILENT_SECONDS + 60)
    sweep(tmp_path)
    assert list_names(tmp_path) == set()


def test_fluentd_file_is_kept_until_other_shippers_have_read_it(tmp_path: Path) -> None:
    files = [write(tmp_path, f"events-{name}.jsonl", 10, age_seconds=2 * HOUR) for name in "abc"]
    note(tmp_path, dict.fromkeys(files, 10))
    note(tmp_path, {files[0]: 10, files[1]: 9, files[2]: 10}, "second-events.pos")
    publish(tmp_path, {files[0].name: 10, files[1].name: 10})
    sweep(tmp_path)
    assert list_names(tmp_path) == {files[1].name, files[2].name}


def test_position_of_reused_inode_is_ignored(tmp_path: Path) -> None:
    old = write(tmp_path, "events-a.jsonl", 10, age_seconds=2 * HOUR)
    note(tmp_path, {old: 10})
    renamed = old.rename(tmp_path / "events-b.jsonl")
    sweep(tmp_path)
    assert list_names(tmp_path) == {renamed.name}, "the same inode under another name"
    write(tmp_path, "events-a.jsonl", 10, age_seconds=2 * HOUR)
    sweep(tmp_path)
    assert list_names(tmp_path) == {"events-a.jsonl", "events-b.jsonl"}, "the same name with another inode"


@pytest.mark.parametrize(
    "text",
    [
        "{path}\tffffffffffffffff\t{inode}\n",
        "{path}\t000000000000000a\t0000",
        "{path}\t00000000000a\t{inode}\n",
        "{path} 000000000000000a {inode}\n",
        "\xff\xfe\n\t\t\n",
        "",
    ],
    ids=["no longer watched", "cut off", "too few digits", "no tabs", "noise", "empty"],
)
def test_invalid_position_deletes_nothing(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "events-a.jsonl", 10, age_seconds=2 * HOUR)
    note(tmp_path, {path: 10})
    position_file = tmp_path / ".shipped" / "fluentd-events.pos"
    position_file.write_text(text.format(path=path, inode=f"{path.stat().st_ino:016x}"), "latin-1")
    sweep(tmp_path)
    assert list_names(tmp_path) == {"events-a.jsonl"}
    assert not is_tailed(tmp_path, path.stat().st_ino)


def record() -> None:
    with inferlog.track_performance("predict"):
        pass


def fill(directory: Path, number: int) -> None:
    for name in range(number):
        (directory / f"events-other-0-20260101T000000Z-{name:04d}.jsonl").touch()


def test_first_event_does_not_list_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 300)
    looked: list[tuple[threading.Thread, object]] = []
    scandir = os.scandir

    def recording_scandir(path: Any) -> Any:
        looked.append((threading.current_thread(), path))
        return scandir(path)

    # A directory is listed through one of these two functions.
    monkeypatch.setattr(os, "scandir", recording_scandir)
    monkeypatch.setattr(os, "listdir", lambda path: pytest.fail(f"lists {path}"))
    inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=0)
    record()
    swept = wait_until(lambda: [thread for thread, path in looked if path == tmp_path], what="a sweep")
    inferlog.shutdown()
    assert threading.current_thread() not in swept
    assert {thread.name for thread in swept} == {"inferlog-housekeeping"}


def test_short_process_sweeps_at_exit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferlog.sinks.retention.CHECK_EVERY_SECONDS", 3600)
    fill(tmp_path, 3)
    looked: list[object] = []
    scandir = os.scandir

    def recording_scandir(path: Any) -> Any:
        looked.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", recording_scandir)
    inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=0)
    record()
    assert tmp_path not in looked
    inferlog.shutdown()
    assert tmp_path in looked


def test_housekeeping_thread_starts_with_first_file(tmp_path: Path) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=0)
    assert "inferlog-housekeeping" not in {thread.name for thread in threading.enumerate()}
    record()
    assert "inferlog-housekeeping" in {thread.name for thread in threading.enumerate()}
    inferlog.shutdown()
    assert "inferlog-housekeeping" not in {thread.name for thread in threading.enumerate()}


def test_housekeeping_retries_when_thread_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done = threading.Event()
    housekeeping = Housekeeping()
    housekeeping.tasks.append(done.set)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        housekeeping.start()
    housekeeping.start()
    assert done.wait(10)
    housekeeping.stop()


def test_failing_task_is_logged_once_and_others_run(logs: Logs) -> None:
    def fail() -> None:
        raise RuntimeError("no such luck")

    housekeeping, turns = Housekeeping(), []
    housekeeping.tasks += [fail, lambda: turns.append(True)]
    housekeeping.start()
    wait_until(lambda: len(turns) >= 2, what="two turns")
    housekeeping.stop()
    (line,) = logs.read_lines("app")
    assert line["message"] == "inferlog.housekeeping.failed: RuntimeError('no such luck')"


def test_forked_child_has_own_housekeeping(tmp_path: Path) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=0)
    record()
    child = os.fork()
    if child == 0:
        try:
            record()
            names = [thread.name for thread in threading.enumerate()]
            os._exit(0 if names.count("inferlog-housekeeping") == 1 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    inferlog.shutdown()


UNENDED = """
import inferlog, sys
inferlog.configure(service_name="scoring", log_dir=sys.argv[1], heartbeat_seconds=0)
inferlog.get_logger("scoring").info("ready")
"""


def test_process_that_never_shuts_down_ends(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", UNENDED, str(tmp_path)], capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
