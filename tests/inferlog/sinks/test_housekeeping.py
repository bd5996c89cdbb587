import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import inferlog
from inferlog.sinks.housekeeping import Housekeeping
from tests.support.logfiles import Logs
from tests.support.polling import wait_until


def record() -> None:
    with inferlog.track_performance("predict"):
        pass


def fill(directory: Path, number: int) -> None:
    for name in range(number):
        (directory / f"events-other-0-20260101T000000Z-{name:04d}.jsonl").touch()


def test_the_first_event_waits_for_no_directory_s_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 300)
    looked, scandir = [], os.scandir
    # What lists a directory goes through one of these two; by name it may be opened at any time.
    monkeypatch.setattr(os, "scandir", lambda path: looked.append((threading.current_thread(), path)) or scandir(path))
    monkeypatch.setattr(os, "listdir", lambda path: pytest.fail(f"lists {path}"))
    inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=0)
    record()
    swept = wait_until(lambda: [thread for thread, path in looked if path == tmp_path], what="a sweep")
    inferlog.shutdown()
    assert threading.current_thread() not in swept
    assert {thread.name for thread in swept} == {"inferlog-housekeeping"}


def test_a_process_too_short_for_a_look_sweeps_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferlog.sinks.housekeeping.LOOK_EVERY_SECONDS", 3600)
    fill(tmp_path, 3)
    looked, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(path) or scandir(path))
    inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=0)
    record()
    assert tmp_path not in looked
    inferlog.shutdown()
    assert tmp_path in looked


def test_a_process_that_writes_nothing_has_no_thread(tmp_path: Path) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=0)
    assert "inferlog-housekeeping" not in {thread.name for thread in threading.enumerate()}
    record()
    assert "inferlog-housekeeping" in {thread.name for thread in threading.enumerate()}
    inferlog.shutdown()
    assert "inferlog-housekeeping" not in {thread.name for thread in threading.enumerate()}


def test_without_a_thread_the_next_call_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done = threading.Event()
    housekeeping = Housekeeping()
    housekeeping.chores.append(done.set)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        housekeeping.start()
    housekeeping.start()
    assert done.wait(10)
    housekeeping.stop()


def test_a_chore_that_fails_keeps_no_other_from_its_turn_and_is_logged_once(logs: Logs) -> None:
    def fail() -> None:
        raise RuntimeError("no such luck")

    housekeeping, turns = Housekeeping(), []
    housekeeping.chores += [fail, lambda: turns.append(True)]
    housekeeping.start()
    wait_until(lambda: len(turns) >= 2, what="two turns")
    housekeeping.stop()
    (line,) = logs.lines("app")
    assert line["message"] == "inferlog.housekeeping.failed: RuntimeError('no such luck')"


def test_a_forked_child_has_a_housekeeping_of_its_own(tmp_path: Path) -> None:
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


def test_a_process_that_never_shuts_down_ends(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", UNENDED, str(tmp_path)], capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
