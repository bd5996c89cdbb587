import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import inferlog
from inferlog.losses import Losses, write_to_stderr
from tests.support.logfiles import Logs
from tests.support.polling import wait_until

FULL = "No space left on device"


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Paper:
    """Accepts or rejects reports."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.takes = True

    def __call__(self, text: str) -> bool:
        if self.takes:
            self.lines.append(text)
        return self.takes


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def paper() -> Paper:
    return Paper()


def record() -> None:
    with inferlog.track_performance("predict"):
        pass


@contextmanager
def redirect_stderr(descriptor: int) -> Iterator[None]:
    before = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def test_first_loss_is_reported_immediately_and_later_ones_once_per_minute(clock: Clock, paper: Paper) -> None:
    losses = Losses(clock=clock, write=paper)
    losses.add("events", "/logs", FULL)
    assert paper.lines == [f"inferlog: 1 event lost: /logs: {FULL}"]
    for stream in ("events", "events", "app", "health"):
        clock.seconds += 10
        losses.add(stream, "/logs", FULL)
    assert len(paper.lines) == 1
    clock.seconds += 20
    losses.report()
    assert paper.lines[1:] == [f"inferlog: 2 events and 1 log line and 1 heartbeat lost: /logs: {FULL}"]
    clock.seconds += 60
    losses.report()
    assert len(paper.lines) == 2, "nothing was lost since"


def test_each_cause_has_its_own_count(clock: Clock, paper: Paper) -> None:
    losses = Losses(clock=clock, write=paper)
    losses.add("events", "/logs", FULL)
    losses.add("events", "/logs", FULL)
    losses.add_removed("events", "/logs", 3)
    losses.add_removed("app", "/logs", 0)
    losses.report(even_early=True)
    (second,) = paper.lines[1:]
    assert second == (
        f"inferlog: 1 event lost: /logs: {FULL}; "
        "at most 3 events lost: /logs: a log file was deleted, renamed or truncated while in use"
    )
    assert losses.events_removed == 3


def test_report_that_cannot_be_written_is_tried_again_second_later(clock: Clock, paper: Paper) -> None:
    losses = Losses(clock=clock, write=paper)
    paper.takes = False
    losses.add("events", "/logs", FULL)
    paper.takes = True
    losses.add("events", "/logs", FULL)
    assert paper.lines == []
    clock.seconds += 1
    losses.report()
    assert paper.lines == [f"inferlog: 2 events lost: /logs: {FULL}"]


def test_full_pipe_does_not_block_or_raise(capfd: pytest.CaptureFixture[str]) -> None:
    read_end, write_end = os.pipe()
    with redirect_stderr(write_end):
        while write_to_stderr("x" * 4000):
            pass
    os.close(read_end)
    with redirect_stderr(write_end):
        assert write_to_stderr("nobody reads"), "there is nothing to wait for"
    os.close(write_end)
    assert write_to_stderr("a path with half a letter: \udc80")
    assert capfd.readouterr().err == "a path with half a letter: \\udc80\n"


def test_losses_are_not_reported_without_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stderr__", None)
    assert write_to_stderr("to nobody")


def test_unwritable_directory_is_reported_while_process_runs_and_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path / "logs", heartbeat_seconds=0)
    (tmp_path / "logs").write_text("in the way")
    record()
    assert capfd.readouterr().err == f"inferlog: 1 event lost: {tmp_path / 'logs'}: File exists\n"
    record()
    inferlog.get_logger("scoring").error("model.loaded_badly")
    assert capfd.readouterr().err == ""
    inferlog.shutdown()
    assert capfd.readouterr().err == f"inferlog: 1 event and 1 log line lost: {tmp_path / 'logs'}: File exists\n"
    stats = inferlog.stats()
    assert (stats.events_written, stats.events_dropped, stats.lines_written, stats.lines_dropped) == (0, 2, 0, 1)
    assert stats.last_loss == f"{tmp_path / 'logs'}: File exists"
    assert stats.last_loss_unix_seconds is not None


def test_full_directory_is_reported_with_setting_that_bounds_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=0, max_total_bytes=10)
    record()
    assert capfd.readouterr().err == (
        f"inferlog: 1 event lost: {tmp_path}: max_total_bytes (10) reached, no file can be deleted\n"
    )
    inferlog.shutdown()


def test_stats_count_written_lines_and_are_zero_before_configure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = Logs(tmp_path)
    inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=3600)
    record()
    inferlog.get_logger("scoring").info("ready")
    inferlog.shutdown()
    stats = inferlog.stats()
    assert (
        (stats.events_written, stats.lines_written)
        == (1, len(logs.read_lines("app")) + len(logs.read_lines("health")))
        == (1, 2)
    )
    assert (stats.events_dropped, stats.lines_dropped, stats.last_loss) == (0, 0, None)
    monkeypatch.setattr("inferlog.configuration._runtime", None)
    assert inferlog.stats() == inferlog.Stats()


def test_events_after_removal_of_their_file_go_to_new_one_and_others_are_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logs = Logs(tmp_path)
    inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=0)
    record()
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / f"{path.name}.1")
    stats = wait_until(lambda: (seen := inferlog.stats()).last_loss and seen, what="the removal is noticed, unasked")
    assert stats.events_removed <= 1
    record()
    assert [event["event"]["sequence"] for event in logs.events] == [1]
    assert "a log file was deleted, renamed or truncated while in use" in capfd.readouterr().err
    inferlog.shutdown()
    assert inferlog.stats().events_written == 2


SIGNALLED = """
import inferlog, os, signal, sys
inferlog.configure(service_name="scoring", log_dir=sys.argv[1], heartbeat_seconds=0, max_total_bytes=1)
log = inferlog.get_logger("scoring")
signal.signal(signal.SIGUSR1, lambda *_: log.info("signalled"))
print("ready", flush=True)
for _ in range(20_000):
    log.info("working")
"""


def test_signal_handler_that_loses_line_does_not_hang_report(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SIGNALLED, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as service:
        assert service.stdout is not None
        service.stdout.readline()
        for _ in range(50):
            service.send_signal(signal.SIGUSR1)
        assert service.stderr is not None
        first, *others = service.stderr.read().decode().splitlines()
        assert service.wait() == 0
    assert "log line lost" in first
    assert len(others) <= 1


def test_losses_of_many_threads_are_all_counted(paper: Paper) -> None:
    losses = Losses(write=paper)

    def lose() -> None:
        for _ in range(500):
            losses.add("events", "/logs", FULL)

    threads = [threading.Thread(target=lose) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    losses.report(even_early=True)
    assert sum(int(line.split()[1]) for line in paper.lines) == 2000
