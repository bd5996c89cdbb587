"""Records that the service writes itself: finished inferences, prompts and answers."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

import inferlog
from inferlog.configuration import get_runtime
from inferlog.testing import Recorded, recording
from tests.support.logfiles import Logs

NAMES = {
    "inference_completed": ("success", "success"),
    "inference_rejected": ("rejected", "failure"),
    "inference_failed": ("error", "failure"),
    "inference_cancelled": ("cancelled", "unknown"),
}


EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def read_reasons(recorded: Recorded) -> str:
    (line,) = (line for line in recorded.log_lines if line["message"] == "inferlog.value_refused")
    return str(line["labels"]["reasons"])


def test_recorded_inference_is_event_with_given_values(inferlog_recorded: Recorded) -> None:
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


def test_record_inference_requires_no_value(inferlog_recorded: Recorded) -> None:
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
def test_status_is_word_or_http_status_code(stated: Any, status: str, code: int | None) -> None:
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
def test_invalid_status_is_omitted_and_logged(stated: Any) -> None:
    with recording() as recorded:
        inferlog.record_inference(status=stated, latency_seconds=0.5)
    assert (recorded.event["status"], recorded.event["latency_seconds"]) == ("success", 0.5)
    assert "is not a status; expected one of success, rejected, error, cancelled, or 100 to 599" in read_reasons(
        recorded
    )


def test_word_and_code_are_both_kept(inferlog_recorded: Recorded) -> None:
    inferlog.record_inference(status="error", status_code=200)
    event = inferlog_recorded.event
    assert (event["status"], event["http"]["response"]["status_code"]) == ("error", 200)


@pytest.mark.parametrize("error", [TimeoutError("too slow"), "too slow"])
def test_error_sets_status_error(inferlog_recorded: Recorded, error: Any) -> None:
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
def test_start_is_written_in_addition_to_timestamp(inferlog_recorded: Recorded, started_at: Any, written: str) -> None:
    before = datetime.now(UTC)
    inferlog.record_inference(started_at=started_at)
    assert inferlog_recorded.event["event"]["start"] == written
    assert datetime.fromisoformat(inferlog_recorded.event["@timestamp"]) >= before.replace(microsecond=0)


def test_start_without_zone_is_in_local_time(inferlog_recorded: Recorded) -> None:
    local = datetime(2026, 11, 23, 6, 15)  # noqa: DTZ001 (as LiteLLM's callbacks state it)
    inferlog.record_inference(started_at=local)
    assert datetime.fromisoformat(inferlog_recorded.event["event"]["start"]) == local.astimezone(UTC)


@pytest.mark.parametrize("started_at", ["yesterday", -1, 1_795_414_500_000, float("nan"), EARLIEST, LATEST])
def test_invalid_start_is_omitted_and_logged(started_at: Any) -> None:
    with recording() as recorded:
        inferlog.record_inference(started_at=started_at)
    assert "start" not in recorded.event["event"]
    assert "is not a moment; expected a datetime or Unix seconds, 1970 to 2261" in read_reasons(recorded)


def test_raising_values_are_the_only_ones_omitted() -> None:
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


def test_recorder_that_fails_does_not_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    def record(*_: object) -> None:
        raise OSError("disk is gone")

    with recording() as recorded:
        monkeypatch.setattr("inferlog.runtime.Runtime.record", record)
        inferlog.record_inference(model_version="v3")
    assert [line["error"]["message"] for line in recorded.log_lines] == ["disk is gone"]


def test_recorded_inference_inside_call_is_own_event_in_same_chain(inferlog_recorded: Recorded) -> None:
    with inferlog.track_performance("job", model_version="outer"):
        inferlog.record_inference(model_version="inner", latency_seconds=0.5)
    inner, outer = inferlog_recorded.events
    assert (inner["model_version"], outer["model_version"]) == ("inner", "outer")
    assert inner["correlation_id"] == outer["correlation_id"]
    assert inner["request_id"] != outer["request_id"]


@pytest.mark.parametrize("name", NAMES)
def test_line_named_as_inference_ends_is_its_event(name: str) -> None:
    with recording(log_level="critical") as recorded:
        inferlog.get_logger("svc").info(
            name, request_id="r-1", model_version="v1", latency_seconds=0.125, tenant="acme"
        )
    event = recorded.event
    assert recorded.log_lines == []
    assert (event["event"]["action"], (event["status"], event["event"]["outcome"])) == (name, NAMES[name])
    assert (event["request_id"], event["model_version"], event["latency_seconds"]) == ("r-1", "v1", 0.125)
    assert (event["event"]["sequence"], event["labels"]) == (0, {"tenant": "acme"})


def test_every_logger_writes_event(inferlog_recorded: Recorded) -> None:
    inferlog.get_logger().bind(model_version="v1").info("inference_completed", latency_seconds=1)
    structlog.get_logger().info("inference_completed", latency_seconds=2)
    logging.getLogger("svc").info("inference_completed", extra={"latency_seconds": 3})
    asyncio.run(inferlog.get_logger().ainfo("inference_completed", latency_seconds=4))
    assert [event["latency_seconds"] for event in inferlog_recorded.events] == [1.0, 2.0, 3.0, 4.0]
    assert inferlog_recorded.events[0]["model_version"] == "v1"
    assert inferlog_recorded.log_lines == []


def test_line_without_latency_or_event_name_stays_line(inferlog_recorded: Recorded) -> None:
    log = inferlog.get_logger()
    log.error("inference_failed", error="boom")
    log.info("inference_completed", latency_seconds=None)
    log.info("inference_started", latency_seconds=0.5)
    no_text: Any = ["inference_completed"]
    log.info(no_text, latency_seconds=0.5)
    assert inferlog_recorded.events == []
    assert len(inferlog_recorded.log_lines) == 4


def test_line_status_code_and_error_are_event_s(inferlog_recorded: Recorded) -> None:
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


def test_status_wins_over_line_name_and_contradiction_is_logged_once(inferlog_recorded: Recorded) -> None:
    for _ in range(2):
        inferlog.get_logger().info("inference_completed", latency_seconds=0.1, status=503)
    assert [event["status"] for event in inferlog_recorded.events] == ["error", "error"]
    (warning,) = inferlog_recorded.log_lines
    assert warning["message"] == "the status of a log line contradicts its name; the status is used"
    assert warning["labels"] == {"about": "inference_completed", "status": "error"}


def test_invalid_latency_is_omitted_and_logged(inferlog_recorded: Recorded) -> None:
    inferlog.get_logger().info("inference_completed", model_version="v1", latency_seconds="fast")
    assert "latency_seconds" not in inferlog_recorded.event
    assert "latency_seconds: 'fast' is not a valid measurement" in read_reasons(inferlog_recorded)


def test_line_inside_call_adds_to_its_event(inferlog_recorded: Recorded) -> None:
    with inferlog.track_performance("predict", model_version="v1"):
        inferlog.get_logger().info("inference_completed", latency_seconds=2.5, output_tokens=40, tenant="acme")
    event = inferlog_recorded.event
    assert (event["latency_seconds"], event["model_version"], event["labels"]) == (2.5, "v1", {"tenant": "acme"})
    assert event["gen_ai"] == {"operation": {"name": "predict"}, "usage": {"output_tokens": 40}}


def test_several_lines_inside_one_call_share_one_event_and_are_logged_once(inferlog_recorded: Recorded) -> None:
    with inferlog.track_performance("job"):
        for seconds in (0.1, 0.2, 0.3):
            inferlog.get_logger().info("inference_completed", latency_seconds=seconds)
    assert inferlog_recorded.event["latency_seconds"] == 0.3
    (warning,) = inferlog_recorded.log_lines
    assert warning["message"].endswith("record each with inferlog.record_inference(…)")


PROMPT, ANSWER = "the prompt of a customer", "the answer to a customer"


def infer() -> None:
    with inferlog.track_performance("chat", model_version="v1"):
        inferlog.capture_content(input=PROMPT, output=f"{ANSWER} Bearer abcdef123456")


def read_everything(directory: Path) -> str:
    return "".join(path.read_text() for path in directory.rglob("*") if path.is_file())


def test_content_is_not_written_without_setting(tmp_path: Path) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path, log_level="debug")
    infer()
    inferlog.shutdown()
    assert PROMPT not in read_everything(tmp_path)
    assert ANSWER not in read_everything(tmp_path)


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_content_is_written_only_to_own_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    if by == "environment":
        monkeypatch.setenv("INFERLOG_CAPTURE_CONTENT", "true")
    inferlog.configure(service_name="scoring", log_dir=tmp_path, capture_content=True if by == "argument" else None)
    infer()
    inferlog.shutdown()
    logs = Logs(tmp_path)
    (line,) = logs.read_lines("content")
    assert line["gen_ai"] == {"input": {"text": PROMPT}, "output": {"text": f"{ANSWER} Bearer [REDACTED]"}}
    assert line["event"]["dataset"] == "inference.content"
    assert line["request_id"] == logs.event["request_id"]
    assert line["model_version"] == "v1"
    others = "".join(path.read_text() for path in tmp_path.glob("*.jsonl") if not path.name.startswith("content-"))
    assert PROMPT not in others
    assert ANSWER not in others


@pytest.mark.parametrize("value", ["false", "0", "no"])
def test_content_is_off_with_all_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for name in ("INFERLOG_CAPTURE", "INFERLOG_CONTENT", "INFERLOG_DEBUG", "INFERLOG_LOG_LEVEL"):
        monkeypatch.setenv(name, "debug")
    monkeypatch.setenv("INFERLOG_CAPTURE_CONTENT", value)
    inferlog.configure(service_name="scoring", log_dir=tmp_path)
    infer()
    inferlog.shutdown()
    assert Logs(tmp_path).read_lines("content") == []


def test_content_that_cannot_be_written_does_not_break_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: bytes) -> bool:
        raise RuntimeError("reentrant call inside a writer")

    inferlog.configure(service_name="scoring", log_dir=tmp_path, capture_content=True, heartbeat_seconds=0)
    content = get_runtime().content
    assert content is not None
    monkeypatch.setattr(content._sink, "write", fail)
    inferlog.capture_content(input=PROMPT)
    stats = inferlog.stats()
    assert (stats.lines_dropped, stats.last_loss) == (1, "RuntimeError while the line was written")


def test_long_prompt_is_cut_with_note(tmp_path: Path) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path, capture_content=True)
    inferlog.capture_content(input="a" * 40_000)
    inferlog.shutdown()
    (line,) = Logs(tmp_path).read_lines("content")
    assert line["gen_ai"]["input"]["text"] == "a" * 32_000 + "… [8000 characters cut]"
