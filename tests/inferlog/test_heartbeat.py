import asyncio
import math
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import inferlog
from inferlog import heartbeat
from inferlog.activity import Activity
from inferlog.configuration import runtime
from inferlog.vitals import Vitals
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


def test_a_process_that_does_nothing_writes_nothing(tmp_path: Path) -> None:
    configure(tmp_path / "logs", 0.01)
    inferlog.shutdown()
    assert not (tmp_path / "logs").exists()


def test_heartbeats_come_from_the_first_event_on(tmp_path: Path) -> None:
    logs = configure(tmp_path, 0.01)
    record()
    beats = wait_until(lambda: (lines := logs.lines("health")) and len(lines) >= 3 and lines, what="three heartbeats")
    inferlog.shutdown()
    beat = beats[-1]
    assert beat["message"] == "service_heartbeat"
    assert beat["event"]["dataset"] == "inference.health"
    assert beat["service"]["instance"]["id"] == logs.event["service"]["instance"]["id"]
    assert (beat["events_written"], beat["events_dropped"], beat["copies_dropped"]) == (1, 0, 0)
    assert beat["process"]["memory"]["usage_bytes"] > 1_000_000
    assert 0 <= beat["process"]["cpu"]["utilization"] < 64


def test_the_last_heartbeat_counts_every_event(tmp_path: Path) -> None:
    logs = configure(tmp_path, 3600)
    for _ in range(5):
        record()
    inferlog.shutdown()
    (beat,) = logs.lines("health")
    assert beat["events_written"] == 5
    assert beat["events_unshipped_bytes"] == sum(path.stat().st_size for path in tmp_path.glob("events-*"))


def test_the_next_heartbeat_that_can_be_written_counts_what_was_lost_before_the_first_event(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = datetime.now(UTC)
    logs = configure(tmp_path / "logs", 0.01)
    (tmp_path / "logs").write_text("in the way")
    record()
    inferlog.get_logger("scoring").error("model.loaded_badly")
    wait_until(lambda: inferlog.stats().lines_dropped >= 2, what="a heartbeat that is lost")
    (tmp_path / "logs").unlink()
    beat = wait_until(lambda: logs.lines("health"), what="a heartbeat")[0]
    inferlog.shutdown()
    assert (beat["events_written"], beat["events_dropped"], beat["events_removed"]) == (0, 1, 0)
    assert beat["lines_dropped"] >= 2
    assert before <= datetime.fromisoformat(beat["instance_started"]) <= datetime.fromisoformat(beat["@timestamp"])
    assert "1 event lost" in capfd.readouterr().err


def test_a_process_that_is_stopped_says_so_in_its_last_heartbeat_only(tmp_path: Path) -> None:
    logs = configure(tmp_path, 0.01)
    record()
    wait_until(lambda: len(logs.lines("health")) >= 2, what="two heartbeats")
    inferlog.shutdown()
    *before, last = [beat["message"] for beat in logs.lines("health")]
    assert set(before) == {"service_heartbeat"}
    assert last == "service_stopped"


def test_heartbeat_that_rests_begins_again_with_the_next_event(tmp_path: Path) -> None:
    logs = configure(tmp_path, 3600)
    record()
    runtime().heartbeat.rest()
    runtime().heartbeat.rest()
    assert [beat["message"] for beat in logs.lines("health")] == ["service_stopped"]
    record()
    inferlog.shutdown()
    beats = logs.lines("health")
    assert [(beat["message"], beat["events_written"]) for beat in beats] == [
        ("service_stopped", 1),
        ("service_stopped", 2),
    ]


def test_zero_seconds_switch_it_off(tmp_path: Path) -> None:
    logs = configure(tmp_path, 0)
    record()
    inferlog.shutdown()
    assert logs.lines("health") == []


def test_what_is_shipped_is_not_counted_as_unshipped(tmp_path: Path) -> None:
    configure(tmp_path, 3600)
    record()
    (path,) = tmp_path.glob("events-*")
    (tmp_path / ".shipped").mkdir()
    (tmp_path / ".shipped" / "x.json").write_text(f'{{"version": 1, "positions": {{"{path.name}": 100}}}}')
    assert runtime().heartbeat.line()["events_unshipped_bytes"] == path.stat().st_size - 100


def test_a_service_adds_figures_of_its_own_and_a_broken_one_is_logged_once(tmp_path: Path) -> None:
    def broken() -> float:
        raise RuntimeError("no figure")

    logs = configure(tmp_path, 0)
    inferlog.add_gauge("queue_requests", lambda: 7)
    inferlog.add_gauge("unknown", lambda: None)
    inferlog.add_gauge("broken", broken)
    lines = [runtime().heartbeat.line() for _ in range(2)]
    assert [line["gauges"] for line in lines] == [{"queue_requests": 7.0}] * 2
    (complaint,) = logs.lines("app")
    assert (complaint["message"], complaint["labels"]) == ("gauge.failed", {"gauge": "broken"})


@pytest.mark.parametrize("failure", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_a_gauge_that_wants_to_end_its_thread_does_not(tmp_path: Path, failure: BaseException) -> None:
    def broken() -> float:
        raise failure

    logs = configure(tmp_path, 0.01)
    inferlog.add_gauge("broken", broken)
    record()
    wait_until(lambda: len(logs.lines("health")) >= 2, what="two heartbeats")
    inferlog.shutdown()
    assert [line["message"] for line in logs.lines("app")] == ["gauge.failed"]
    assert logs.lines("health")[-1]["message"] == "service_stopped"


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_a_figure_that_json_cannot_carry_is_none(tmp_path: Path, figure: float) -> None:
    configure(tmp_path, 0)
    inferlog.add_gauge("queue_requests", lambda: figure)
    assert "gauges" not in runtime().heartbeat.line()


@pytest.mark.parametrize(
    ("name", "error"), [(7, TypeError), ("queue\udc80", ValueError), ("", ValueError), ("queue..requests", ValueError)]
)
def test_a_name_that_no_field_can_have_is_refused(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="a gauge's name is .*; expected .* such as 'queue_requests'"):
        inferlog.add_gauge(name, lambda: 1)


def test_the_end_does_not_wait_for_a_gauge_that_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    (beat,) = logs.lines("health")
    assert (beat["message"], beat["events_written"]) == ("service_stopped", 1)
    assert [line["message"] for line in logs.lines("app")] == ["heartbeat.blocked"]
    beating = next(thread for thread in threading.enumerate() if thread.name == "inferlog-heartbeat")
    release.set()
    beating.join(10)
    assert left.is_set()
    assert len(logs.lines("health")) == 1  # nothing comes after the goodbye


def test_a_heartbeat_that_fails_is_logged_once_and_the_next_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = configure(tmp_path, 0.01)
    beat, failures = runtime().heartbeat, iter([OSError("no figure"), SystemExit(1)])
    working = beat._vitals.process

    def failing() -> dict[str, Any]:
        for failure in failures:
            raise failure
        return working()

    monkeypatch.setattr(beat._vitals, "process", failing)
    record()
    wait_until(lambda: logs.lines("health"), what="a heartbeat")
    inferlog.shutdown()
    assert [line["message"] for line in logs.lines("app")] == ["heartbeat.failed"]


def test_without_a_thread_to_be_had_events_are_written_and_the_next_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    logs = configure(tmp_path, 3600)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        record()
        record()
        runtime().heartbeat.stop()
    record()
    inferlog.shutdown()
    assert len(logs.events) == 3
    assert [line["message"] for line in logs.lines("app")] == ["heartbeat.not_started"]
    assert [beat["message"] for beat in logs.lines("health")] == ["service_stopped"]


def test_a_forked_child_has_a_heartbeat_of_its_own(tmp_path: Path) -> None:
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
    beats: list[dict[str, Any]] = logs.lines("health")
    assert len({beat["service"]["instance"]["id"] for beat in beats}) == 2
    assert [beat["events_written"] for beat in beats] == [1, 1]


def test_others_in_flight_are_counted() -> None:
    activity = Activity()
    assert [activity.begin(), activity.begin()] == [0, 1]
    activity.end()
    assert activity.open_requests == 1
    assert activity.begin() == 1


def test_a_blocked_event_loop_shows_as_lag() -> None:
    activity = Activity()
    assert activity.loop_lag_seconds(at_most_seconds=1) is None

    async def block() -> float | None:
        activity.serve_on_this_loop()
        with ThreadPoolExecutor() as another_thread:
            measured = another_thread.submit(activity.loop_lag_seconds, at_most_seconds=0.05)
            return measured.result()  # holds the loop, as a model run on it by mistake would

    assert asyncio.run(block()) == 0.05
    assert activity.loop_lag_seconds(at_most_seconds=1) is None  # closed since


def test_processor_use_is_of_the_time_since_the_last_look() -> None:
    (wall_0, processor_0), vitals, (wall_1, processor_1) = clocks(), Vitals(), clocks()
    total = sum(number * number for number in range(500_000))
    assert total
    (wall_2, processor_2), figures, (wall_3, processor_3) = clocks(), vitals.process(), clocks()
    least = (processor_2 - processor_1) / (wall_3 - wall_0)
    most = (processor_3 - processor_0) / (wall_2 - wall_1)
    assert least > 0
    assert least - 0.0001 <= figures["cpu"]["utilization"] <= most + 0.0001  # it is rounded
    assert vitals.gpu() is None or vitals.gpu()["utilization"] <= 1


def clocks() -> tuple[float, float]:
    """Return the seconds that have passed, and those of a processor that this process has used."""
    return time.monotonic(), time.process_time()
