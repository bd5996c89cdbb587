"""Inferences that are over: recorded by ``record_inference``, or by a log line that is named as one ends."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus
from typing import Any

import numpy as np
import pytest
import structlog

import inferlog
from inferlog.testing import Recorded, recording

NAMES = {
    "inference_completed": ("success", "success"),
    "inference_rejected": ("rejected", "failure"),
    "inference_failed": ("error", "failure"),
    "inference_cancelled": ("cancelled", "unknown"),
}


EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def reasons(recorded: Recorded) -> str:
    (line,) = (line for line in recorded.log_lines if line["message"] == "inferlog.value_refused")
    return str(line["labels"]["reasons"])


def test_recorded_inference_is_an_event_with_what_was_stated(inferlog_recorded: Recorded) -> None:
    inferlog.record_inference(
        model_version="v3",
        latency_seconds=0.84,
        status=200,
        input_tokens=12,
        output_tokens=40,
        request_id="r-1",
        tenant="acme",
    )
    event = inferlog_recorded.event
    assert (event["event"]["action"], event["event"]["sequence"], len(event["audit"]["hash"])) == (
        "inference_completed",
        0,
        32,
    )
    assert (event["model_version"], event["latency_seconds"], event["status"]) == ("v3", 0.84, "success")
    assert event["gen_ai"] == {"usage": {"input_tokens": 12, "output_tokens": 40}}
    assert event["http"] == {"response": {"status_code": 200}}
    assert (event["request_id"], event["labels"]) == ("r-1", {"tenant": "acme"})
    assert event["correlation_id"]


def test_nothing_has_to_be_known(inferlog_recorded: Recorded) -> None:
    inferlog.record_inference()
    event = inferlog_recorded.event
    assert event["status"] == "success"
    assert event["request_id"] == event["correlation_id"]
    assert {"model_version", "latency_seconds"}.isdisjoint(event)


@pytest.mark.parametrize(
    ("stated", "status", "code"),
    [
        ("cancelled", "cancelled", None),
        (200, "success", 200),
        (302, "success", 302),
        (422, "rejected", 422),
        (429, "rejected", 429),
        (499, "cancelled", 499),
        (503, "error", 503),
        ("503", "error", 503),
        (HTTPStatus.BAD_GATEWAY, "error", 502),
        (np.int64(404), "rejected", 404),
    ],
)
def test_status_is_a_word_or_an_http_status_code(stated: Any, status: str, code: int | None) -> None:
    with recording() as recorded:
        inferlog.record_inference(status=stated)
        inferlog.record_inference(status_code=stated) if code else None
        with inferlog.track_performance("predict"):
            inferlog.bind_inference(status=stated)
    for event in recorded.events:
        assert event["status"] == status
        assert event.get("http") == ({"response": {"status_code": code}} if code else None)
        failed = code is not None and status in ("rejected", "error")
        assert event.get("error") == ({"type": str(code)} if failed else None)


@pytest.mark.parametrize("stated", ["ok", 99, 600, True, 200.5, [200], object(), b"200"])
def test_status_that_is_neither_is_left_out_and_named(stated: Any) -> None:
    with recording() as recorded:
        inferlog.record_inference(status=stated, latency_seconds=0.5)
    assert (recorded.event["status"], recorded.event["latency_seconds"]) == ("success", 0.5)
    assert "is not a status; expected one of success, rejected, error, cancelled, or 100 to 599" in reasons(recorded)


def test_a_word_and_a_code_are_both_kept(inferlog_recorded: Recorded) -> None:
    inferlog.record_inference(status="error", status_code=200)
    event = inferlog_recorded.event
    assert (event["status"], event["http"]["response"]["status_code"]) == ("error", 200)


@pytest.mark.parametrize("error", [TimeoutError("too slow"), "too slow"])
def test_an_error_makes_it_a_failure(inferlog_recorded: Recorded, error: Any) -> None:
    inferlog.record_inference(model_version="v3", error=error)
    event = inferlog_recorded.event
    assert (event["event"]["action"], event["error"]["message"]) == ("inference_failed", "too slow")
    assert event["error"].get("type") == ("TimeoutError" if isinstance(error, Exception) else None)


@pytest.mark.parametrize(
    ("started_at", "written"),
    [
        (datetime(2026, 11, 23, 6, 15, 0, 123456, tzinfo=UTC), "2026-11-23T06:15:00.123456Z"),
        (datetime(2026, 11, 23, 8, 15, tzinfo=timezone(timedelta(hours=2))), "2026-11-23T06:15:00.000000Z"),
        (1_795_414_500, "2026-11-23T06:15:00.000000Z"),
        (1_795_414_500.5, "2026-11-23T06:15:00.500000Z"),
        (np.float64(1_795_414_500.5), "2026-11-23T06:15:00.500000Z"),
    ],
)
def test_the_start_is_written_beside_the_time_of_the_record(
    inferlog_recorded: Recorded, started_at: Any, written: str
) -> None:
    before = datetime.now(UTC)
    inferlog.record_inference(started_at=started_at)
    assert inferlog_recorded.event["event"]["start"] == written
    assert datetime.fromisoformat(inferlog_recorded.event["@timestamp"]) >= before.replace(microsecond=0)


def test_a_start_without_a_zone_is_in_local_time(inferlog_recorded: Recorded) -> None:
    local = datetime(2026, 11, 23, 6, 15)  # noqa: DTZ001 (as LiteLLM's callbacks state it)
    inferlog.record_inference(started_at=local)
    assert datetime.fromisoformat(inferlog_recorded.event["event"]["start"]) == local.astimezone(UTC)


@pytest.mark.parametrize("started_at", ["yesterday", -1, 1_795_414_500_000, float("nan"), EARLIEST, LATEST])
def test_a_start_that_is_not_a_moment_is_left_out_and_named(started_at: Any) -> None:
    with recording() as recorded:
        inferlog.record_inference(started_at=started_at)
    assert "start" not in recorded.event["event"]
    assert "is not a moment; expected a datetime or Unix seconds, 1970 to 2261" in reasons(recorded)


def test_values_that_raise_at_every_look_cost_themselves_only() -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __index__ = __float__ = __eq__ = __hash__ = __str__  # type: ignore[assignment]

    values: dict[str, Any] = dict.fromkeys(
        ("model_version", "latency_seconds", "status", "started_at", "error"), Hostile()
    )
    with recording() as recorded:
        inferlog.record_inference(output_tokens=40, anything=Hostile(), **values)
    assert recorded.event["gen_ai"]["usage"] == {"output_tokens": 40}


def test_a_recorder_that_fails_does_not_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    def record(*_: object) -> None:
        raise OSError("disk is gone")

    with recording() as recorded:
        monkeypatch.setattr("inferlog.runtime.Runtime.record", record)
        inferlog.record_inference(model_version="v3")
    assert [line["error"]["message"] for line in recorded.log_lines] == ["disk is gone"]


def test_inside_a_call_it_is_an_event_of_its_own_in_the_same_chain(inferlog_recorded: Recorded) -> None:
    with inferlog.track_performance("job", model_version="outer"):
        inferlog.record_inference(model_version="inner", latency_seconds=0.5)
    inner, outer = inferlog_recorded.events
    assert (inner["model_version"], outer["model_version"]) == ("inner", "outer")
    assert inner["correlation_id"] == outer["correlation_id"]
    assert inner["request_id"] != outer["request_id"]


@pytest.mark.parametrize("name", NAMES)
def test_a_line_named_as_an_inference_ends_is_its_event(name: str) -> None:
    with recording(log_level="critical") as recorded:
        inferlog.get_logger("svc").info(
            name, request_id="r-1", model_version="v1", latency_seconds=0.125, tenant="acme"
        )
    event = recorded.event
    assert recorded.log_lines == []
    assert (event["event"]["action"], (event["status"], event["event"]["outcome"])) == (name, NAMES[name])
    assert (event["request_id"], event["model_version"], event["latency_seconds"]) == ("r-1", "v1", 0.125)
    assert (event["event"]["sequence"], event["labels"]) == (0, {"tenant": "acme"})


def test_every_logger_writes_the_event(inferlog_recorded: Recorded) -> None:
    inferlog.get_logger().bind(model_version="v1").info("inference_completed", latency_seconds=1)
    structlog.get_logger().info("inference_completed", latency_seconds=2)
    logging.getLogger("svc").info("inference_completed", extra={"latency_seconds": 3})
    asyncio.run(inferlog.get_logger().ainfo("inference_completed", latency_seconds=4))
    assert [event["latency_seconds"] for event in inferlog_recorded.events] == [1.0, 2.0, 3.0, 4.0]
    assert inferlog_recorded.events[0]["model_version"] == "v1"
    assert inferlog_recorded.log_lines == []


def test_a_line_that_lacks_the_latency_or_the_name_stays_a_line(inferlog_recorded: Recorded) -> None:
    log = inferlog.get_logger()
    log.error("inference_failed", error="boom")
    log.info("inference_completed", latency_seconds=None)
    log.info("inference_started", latency_seconds=0.5)
    log.info(["inference_completed"], latency_seconds=0.5)
    assert inferlog_recorded.events == []
    assert len(inferlog_recorded.log_lines) == 4


def test_a_line_s_status_code_and_error_are_the_event_s(inferlog_recorded: Recorded) -> None:
    log = inferlog.get_logger()
    log.info("inference_rejected", latency_seconds=0.1, status_code=429)
    try:
        raise TimeoutError("too slow")
    except TimeoutError as error:
        log.exception("inference_failed", latency_seconds=0.1)
        log.warning("inference_failed", latency_seconds=0.1, error=str(error))
    limited, raised, stated = inferlog_recorded.events
    assert (limited["status"], limited["error"], limited["http"]) == (
        "rejected",
        {"type": "429"},
        {"response": {"status_code": 429}},
    )
    assert raised["error"]["type"] == "TimeoutError"
    assert "stack_trace" in raised["error"]
    assert stated["error"] == {"message": "too slow"}


def test_a_status_wins_over_the_line_s_name_and_the_difference_is_reported_once(inferlog_recorded: Recorded) -> None:
    for _ in range(2):
        inferlog.get_logger().info("inference_completed", latency_seconds=0.1, status=503)
    assert [event["status"] for event in inferlog_recorded.events] == ["error", "error"]
    (warning,) = inferlog_recorded.log_lines
    assert warning["message"] == "a log line's status disagrees with its name; the status counts"
    assert warning["labels"] == {"about": "inference_completed", "status": "error"}


def test_a_latency_that_is_no_measure_is_left_out_and_named(inferlog_recorded: Recorded) -> None:
    inferlog.get_logger().info("inference_completed", model_version="v1", latency_seconds="fast")
    assert "latency_seconds" not in inferlog_recorded.event
    assert "latency_seconds: 'fast' is no measure" in reasons(inferlog_recorded)


def test_a_line_inside_a_call_adds_to_the_call_s_event(inferlog_recorded: Recorded) -> None:
    with inferlog.track_performance("predict", model_version="v1"):
        inferlog.get_logger().info("inference_completed", latency_seconds=2.5, output_tokens=40, tenant="acme")
    event = inferlog_recorded.event
    assert (event["latency_seconds"], event["model_version"], event["labels"]) == (2.5, "v1", {"tenant": "acme"})
    assert event["gen_ai"] == {"operation": {"name": "predict"}, "usage": {"output_tokens": 40}}


def test_several_lines_inside_one_call_make_one_event_which_is_reported_once(inferlog_recorded: Recorded) -> None:
    with inferlog.track_performance("job"):
        for seconds in (0.1, 0.2, 0.3):
            inferlog.get_logger().info("inference_completed", latency_seconds=seconds)
    assert inferlog_recorded.event["latency_seconds"] == 0.3
    (warning,) = inferlog_recorded.log_lines
    assert warning["message"].endswith("record each with inferlog.record_inference(…)")
