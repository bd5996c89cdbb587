"""Heartbeats, gauges and the last heartbeat of a worker process."""

import asyncio
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import inferlog
from inferlog import heartbeat
from inferlog.configuration import get_runtime
from inferlog.vitals import Activity, Vitals
from tests.support.logfiles import Logs
from tests.support.polling import wait_until


@pytest.fixture(autouse=True)
def _no_gauges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_gauges", {})


def configure(directory: Path, every_seconds: float) -> Logs:
    inferlog.configure(service_name="scoring", log_dir=directory, heartbeat_seconds=every_seconds)
    return Logs(directory)


def record() -> None:
    with inferlog.track_performance("predict"):
        pass


def test_idle_process_writes_nothing(tmp_path: Path) -> None:
    configure(tmp_path / "logs", 0.01)
    inferlog.shutdown()
    assert not (tmp_path / "logs").exists()


def test_heartbeats_start_with_first_event(tmp_path: Path) -> None:
    logs = configure(tmp_path, 0.01)
    record()
    beats = wait_until(
        lambda: (lines := logs.read_lines("health")) and len(lines) >= 3 and lines, what="three heartbeats"
    )
    inferlog.shutdown()
    beat = beats[-1]
    assert beat["message"] == "service_heartbeat"
    assert beat["event"]["dataset"] == "inference.health"
    assert beat["service"]["instance"]["id"] == logs.event["service"]["instance"]["id"]
    assert (beat["events_written"], beat["events_dropped"], beat["copies_dropped"]) == (1, 0, 0)
    assert beat["process"]["memory"]["usage_bytes"] > 1_000_000
    assert 0 <= beat["process"]["cpu"]["utilization"] < 64


def test_last_heartbeat_counts_every_event(tmp_path: Path) -> None:
    logs = configure(tmp_path, 3600)
    for _ in range(5):
        record()
    inferlog.shutdown()
    (beat,) = logs.read_lines("health")
    assert beat["events_written"] == 5
    assert beat["events_unshipped_bytes"] == sum(path.stat().st_size for path in tmp_path.glob("events-*"))


def test_next_heartbeat_counts_losses_before_first_event(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = datetime.now(UTC)
    logs = configure(tmp_path / "logs", 0.01)
    (tmp_path / "logs").write_text("in the way")
    record()
    inferlog.get_logger("scoring").error("model.loaded_badly")
    wait_until(lambda: inferlog.stats().lines_dropped >= 2, what="a heartbeat that is lost")
    (tmp_path / "logs").unlink()
    beat = wait_until(lambda: logs.read_lines("health"), what="a heartbeat")[0]
    inferlog.shutdown()
    assert (beat["events_written"], beat["events_dropped"], beat["events_removed"]) == (0, 1, 0)
    assert beat["lines_dropped"] >= 2
    assert before <= datetime.fromisoformat(beat["instance_started"]) <= datetime.fromisoformat(beat["@timestamp"])
    assert "1 event lost" in capfd.readouterr().err


def test_only_last_heartbeat_is_service_stopped(tmp_path: Path) -> None:
    logs = configure(tmp_path, 0.01)
    record()
    wait_until(lambda: len(logs.read_lines("health")) >= 2, what="two heartbeats")
    inferlog.shutdown()
    *before, last = [beat["message"] for beat in logs.read_lines("health")]
    assert set(before) == {"service_heartbeat"}
    assert last == "service_stopped"


def test_paused_heartbeat_restarts_with_next_event(tmp_path: Path) -> None:
    logs = configure(tmp_path, 3600)
    record()
    get_runtime().heartbeat.pause()
    get_runtime().heartbeat.pause()
    assert [beat["message"] for beat in logs.read_lines("health")] == ["service_stopped"]
    record()
    inferlog.shutdown()
    beats = logs.read_lines("health")
    assert [(beat["message"], beat["events_written"]) for beat in beats] == [
        ("service_stopped", 1),
        ("service_stopped", 2),
    ]


def test_zero_seconds_switch_it_off(tmp_path: Path) -> None:
    logs = configure(tmp_path, 0)
    record()
    inferlog.shutdown()
    assert logs.read_lines("health") == []


def test_shipped_bytes_are_not_counted_as_unshipped(tmp_path: Path) -> None:
    configure(tmp_path, 3600)
    record()
    (path,) = tmp_path.glob("events-*")
    (tmp_path / ".shipped").mkdir()
    (tmp_path / ".shipped" / "x.json").write_text(f'{{"version": 1, "positions": {{"{path.name}": 100}}}}')
    assert get_runtime().heartbeat.build_line()["events_unshipped_bytes"] == path.stat().st_size - 100


def test_gauge_is_in_heartbeat_and_failing_one_is_logged_once(tmp_path: Path) -> None:
    def broken() -> float:
        raise RuntimeError("no figure")

    logs = configure(tmp_path, 0)
    inferlog.add_gauge("queue_requests", lambda: 7)
    inferlog.add_gauge("unknown", lambda: None)
    inferlog.add_gauge("broken", broken)
    lines = [get_runtime().heartbeat.build_line() for _ in range(2)]
    assert [line["gauges"] for line in lines] == [{"queue_requests": 7.0}] * 2
    (complaint,) = logs.read_lines("app")
    assert (complaint["message"], complaint["labels"]) == ("gauge.failed", {"gauge": "broken"})


@pytest.mark.parametrize("failure", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_gauge_that_wants_to_end_its_thread_does_not(tmp_path: Path, failure: BaseException) -> None:
    def broken() -> float:
        raise failure

    logs = configure(tmp_path, 0.01)
    inferlog.add_gauge("broken", broken)
    record()
    wait_until(lambda: len(logs.read_lines("health")) >= 2, what="two heartbeats")
    inferlog.shutdown()
    assert [line["message"] for line in logs.read_lines("app")] == ["gauge.failed"]
    assert logs.read_lines("health")[-1]["message"] == "service_stopped"


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_non_finite_gauge_is_omitted(tmp_path: Path, figure: float) -> None:
    configure(tmp_path, 0)
    inferlog.add_gauge("queue_requests", lambda: figure)
    assert "gauges" not in get_runtime().heartbeat.build_line()


@pytest.mark.parametrize(
    ("name", "error"), [(7, TypeError), ("queue\udc80", ValueError), ("", ValueError), ("queue..requests", ValueError)]
)
def test_invalid_gauge_name_is_rejected(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="a gauge's name is .*; expected .* such as 'queue_requests'"):
        inferlog.add_gauge(name, lambda: 1)


@pytest.mark.parametrize("names", [("queue", "queue.requests"), ("queue.requests", "queue")])
def test_gauge_that_is_an_object_in_another_is_rejected(names: tuple[str, str]) -> None:
    inferlog.add_gauge(names[0], lambda: 1)
    inferlog.add_gauge("queue_seconds", lambda: 1)
    with pytest.raises(ValueError, match="one is an object in the other; rename one"):
        inferlog.add_gauge(names[1], lambda: 1)


def test_end_does_not_wait_for_gauge_that_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_STOP_AT_MOST_SECONDS", 0.1)
    reached, release, left = threading.Event(), threading.Event(), threading.Event()

    def blocking() -> float:
        reached.set()
        release.wait()
        left.set()
        return 1

    logs = configure(tmp_path, 0.01)
    inferlog.add_gauge("blocking", blocking)
    record()
    assert reached.wait(10)
    inferlog.shutdown()
    (beat,) = logs.read_lines("health")
    assert (beat["message"], beat["events_written"]) == ("service_stopped", 1)
    assert [line["message"] for line in logs.read_lines("app")] == ["heartbeat.blocked"]
    beating = next(thread for thread in threading.enumerate() if thread.name == "inferlog-heartbeat")
    release.set()
    beating.join(10)
    assert left.is_set()
    assert len(logs.read_lines("health")) == 1  # no line after the last heartbeat


def test_failing_heartbeat_is_logged_once_and_next_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = configure(tmp_path, 0.01)
    beat, failures = get_runtime().heartbeat, iter([OSError("no figure"), SystemExit(1)])
    working = beat._vitals.read_process

    def failing() -> dict[str, Any]:
        for failure in failures:
            raise failure
        return working()

    monkeypatch.setattr(beat._vitals, "read_process", failing)
    record()
    wait_until(lambda: logs.read_lines("health"), what="a heartbeat")
    inferlog.shutdown()
    assert [line["message"] for line in logs.read_lines("app")] == ["heartbeat.failed"]


def test_events_are_written_without_a_heartbeat_thread_and_its_start_is_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    logs = configure(tmp_path, 3600)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        record()
        record()
        get_runtime().heartbeat.stop()
    record()
    inferlog.shutdown()
    assert len(logs.events) == 3
    assert [line["message"] for line in logs.read_lines("app")] == ["heartbeat.not_started"]
    assert [beat["message"] for beat in logs.read_lines("health")] == ["service_stopped"]


def test_forked_child_has_own_heartbeat(tmp_path: Path) -> None:
    logs = configure(tmp_path, 3600)
    record()
    child = os.fork()
    if child == 0:
        try:
            record()
            inferlog.shutdown()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    inferlog.shutdown()
    beats: list[dict[str, Any]] = logs.read_lines("health")
    assert len({beat["service"]["instance"]["id"] for beat in beats}) == 2
    assert [beat["events_written"] for beat in beats] == [1, 1]


def test_others_in_flight_are_counted() -> None:
    activity = Activity()
    assert [activity.begin(), activity.begin()] == [0, 1]
    activity.end()
    assert activity.open_requests == 1
    assert activity.begin() == 1


def test_blocked_event_loop_shows_as_lag() -> None:
    activity = Activity()
    assert activity.measure_loop_lag_seconds(at_most_seconds=1) is None

    async def block() -> float | None:
        activity.serve_on_this_loop()
        with ThreadPoolExecutor() as another_thread:
            measured = another_thread.submit(activity.measure_loop_lag_seconds, at_most_seconds=0.05)
            return measured.result()  # holds the loop, as a model run on it by mistake would

    assert asyncio.run(block()) == 0.05
    assert activity.measure_loop_lag_seconds(at_most_seconds=1) is None  # closed since


def test_loop_that_serves_after_a_stopped_one_is_measured() -> None:
    activity = Activity()

    async def serve() -> float | None:
        activity.serve_on_this_loop()
        return await asyncio.to_thread(activity.measure_loop_lag_seconds, at_most_seconds=60)

    stopped = asyncio.new_event_loop()
    try:
        lags = [stopped.run_until_complete(serve()), asyncio.run(serve())]
        stopped.run_until_complete(serve())
        assert activity.measure_loop_lag_seconds(at_most_seconds=0.05) is None
    finally:
        stopped.close()
    assert all(lag is not None and lag < 60 for lag in lags)


def test_cpu_use_is_relative_to_last_reading() -> None:
    (wall_0, processor_0), vitals, (wall_1, processor_1) = read_clocks(), Vitals(), read_clocks()
    total = sum(number * number for number in range(500_000))
    assert total
    (wall_2, processor_2), figures, (wall_3, processor_3) = read_clocks(), vitals.read_process(), read_clocks()
    least = (processor_2 - processor_1) / (wall_3 - wall_0)
    most = (processor_3 - processor_0) / (wall_2 - wall_1)
    assert least > 0
    assert least - 0.0001 <= figures["cpu"]["utilization"] <= most + 0.0001  # it is rounded
    gpu = vitals.read_gpu()
    assert gpu is None or gpu["utilization"] <= 1


def read_clocks() -> tuple[float, float]:
    """Return elapsed wall time and CPU time of this process, in seconds."""
    return time.monotonic(), time.process_time()


WORKERS = Path(__file__).parent / "served" / "workers.py"


def read_messages(logs: Logs) -> dict[str, list[str]]:
    """Return the messages of each instance that has an event or a health line."""
    said: dict[str, list[str]] = {event["service"]["instance"]["id"]: [] for event in logs.events}
    for line in logs.read_lines("health"):
        said.setdefault(line["service"]["instance"]["id"], []).append(line["message"])
    return said


@pytest.mark.parametrize("method", ["fork", "forkserver"])
@pytest.mark.parametrize(
    ("kind", "instances"),
    [
        ("judge_in_a_process", 2),
        ("judge_in_an_executor", 2),
        ("judge_in_a_pool", 2),
        ("judge_in_a_terminated_process", 2),
        ("judge_in_a_worker_of_a_worker", 3),
        ("judge_nowhere", 1),
    ],
)
def test_worker_writes_last_heartbeat_at_exit(tmp_path: Path, kind: str, instances: int, method: str) -> None:
    subprocess.run([sys.executable, WORKERS, tmp_path, kind, method], check=True, timeout=60)
    assert list(read_messages(Logs(tmp_path)).values()) == [["service_stopped"]] * instances


def test_main_process_keeps_its_signal_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_worker_exit", None)
    before = signal.getsignal(signal.SIGTERM)
    heartbeat.close_at_worker_exit(lambda: None)
    assert signal.getsignal(signal.SIGTERM) is before


def test_signal_during_last_heartbeat_does_not_interrupt_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def close() -> None:
        heartbeat._handle_sigterm(signal.SIGTERM, None)
        done.append("closed")

    monkeypatch.setattr(heartbeat, "_end_by_signal", lambda number: done.append(f"died of {number}"))
    monkeypatch.setattr(heartbeat, "_worker_exit", None)
    heartbeat.close_at_worker_exit(close)
    heartbeat._end()
    assert done == ["closed", "died of 15"]


def test_celery_worker_writes_last_heartbeat_at_its_signal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    receivers: dict[str, Callable[..., Any]] = {}
    signals = SimpleNamespace(
        worker_process_shutdown=SimpleNamespace(
            connect=lambda receiver, dispatch_uid: receivers.setdefault(dispatch_uid, receiver)
        )
    )
    monkeypatch.setitem(sys.modules, "celery.signals", signals)
    monkeypatch.setattr(heartbeat, "_worker_exit", None)
    inferlog.configure(service_name="queue", log_dir=tmp_path, heartbeat_seconds=3600)
    with inferlog.track_performance("in the parent"):
        pass
    child = os.fork()
    if child == 0:
        try:
            with inferlog.track_performance("in the worker"):
                pass
            (receiver,) = receivers.values()
            receiver(sender=None, pid=os.getpid(), exitcode=0)
        finally:
            os._exit(0)  # as a worker of Celery ends
    assert os.waitpid(child, 0)[1] == 0
    assert [line["message"] for line in Logs(tmp_path).read_lines("health")] == ["service_stopped"]
    inferlog.shutdown()
    assert list(read_messages(Logs(tmp_path)).values()) == [["service_stopped"]] * 2
