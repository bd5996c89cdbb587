"""Bound values: written, or logged once if an observed value wins."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

import pytest

import inferlog
from inferlog.testing import Recorded


def answer(handler: Callable[[], Any], *, status_code: int = 200, complete: bool = True) -> None:
    """Handle one request through the ASGI middleware."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        handler()
        await send({"type": "http.response.start", "status": status_code, "headers": []})
        if complete:
            await send({"type": "http.response.body", "body": b"ok"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Any) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "root_path": "", "query_string": b""}
    asyncio.run(inferlog.InferenceMiddleware(app)(scope, receive, send))


def read_overruled(recorded: Recorded) -> dict[str, Any]:
    """Return the bound values of the warnings, by field."""
    lines = [line for line in recorded.log_lines if line["message"].startswith("a stated ")]
    assert all(line["log"] == {"level": "warning", "logger": "inferlog"} for line in lines)
    return {line["labels"]["about"]: line["labels"]["stated"] for line in lines}


def test_latency_bound_inside_block_wins(inferlog_recorded: Recorded) -> None:
    with inferlog.track_performance("generate"):
        inferlog.bind_inference(latency_seconds=2.5)
    with inferlog.track_performance("generate") as call:
        call.latency_seconds = 2.5
    with inferlog.track_performance("generate", latency_seconds=2.5):
        pass

    @inferlog.track_performance(latency_seconds=lambda answer: answer["seconds"])
    def ask() -> dict[str, float]:
        return {"seconds": 2.5}

    ask()
    assert [event["latency_seconds"] for event in inferlog_recorded.events] == [2.5] * 4
    assert inferlog_recorded.log_lines == []


def test_latency_bound_inside_request_is_logged_once(inferlog_recorded: Recorded) -> None:
    for _ in range(2):
        answer(lambda: inferlog.bind_inference(latency_seconds=2.5))
    assert all(event["latency_seconds"] < 2.5 for event in inferlog_recorded.events)
    assert read_overruled(inferlog_recorded) == {"latency_seconds": 2.5}
    (line,) = inferlog_recorded.log_lines
    assert line["message"].endswith("state the model's own time as model_latency_seconds")


def test_latency_of_call_inside_request_becomes_model_latency(inferlog_recorded: Recorded) -> None:
    def handler() -> None:
        for _ in range(2):
            with inferlog.track_performance("generate", latency_seconds=2.5):
                pass

    answer(handler)
    assert inferlog_recorded.event["model_latency_seconds"] == 5.0
    assert inferlog_recorded.log_lines == []


def test_line_named_as_event_adds_to_its_request(inferlog_recorded: Recorded) -> None:
    def handler() -> None:
        inferlog.get_logger().info(
            "inference_completed", request_id="r-1", model_version="v1", latency_seconds=2.5, status=200
        )

    answer(handler)
    event = inferlog_recorded.event
    assert (event["request_id"], event["model_version"], event["status"]) == ("r-1", "v1", "success")
    assert event["http"]["response"]["status_code"] == 200
    assert read_overruled(inferlog_recorded) == {"latency_seconds": 2.5}


def test_line_inference_completed_does_not_replace_request_status(inferlog_recorded: Recorded) -> None:
    def handler(**status: int) -> None:
        inferlog.get_logger().info("inference_completed", latency_seconds=0.1, **status)

    answer(handler, status_code=429)
    answer(lambda: handler(status=200), status_code=500)
    assert [event["status"] for event in inferlog_recorded.events] == ["rejected", "error"]
    assert read_overruled(inferlog_recorded).keys() == {"latency_seconds", "http_response_status_code", "status"}


def test_line_that_outlives_its_request_is_event_in_same_chain(inferlog_recorded: Recorded) -> None:
    contexts = []
    answer(lambda: contexts.append(contextvars.copy_context()))
    contexts[0].run(inferlog.get_logger().info, "inference_completed", latency_seconds=2.5, model_version="late")
    request, late = inferlog_recorded.events
    assert (late["latency_seconds"], late["model_version"], "model_version" in request) == (2.5, "late", False)
    assert late["correlation_id"] == request["correlation_id"]
    assert late["request_id"] != request["request_id"]


def test_recorded_inference_does_not_change_request_event(inferlog_recorded: Recorded) -> None:
    answer(lambda: inferlog.record_inference(model_version="elsewhere", latency_seconds=2.5))
    measured, request = inferlog_recorded.events
    assert (measured["latency_seconds"], "model_version" in request) == (2.5, False)
    assert measured["correlation_id"] == request["correlation_id"]
    assert inferlog_recorded.log_lines == []


def test_exception_wins_over_bound_status(inferlog_recorded: Recorded) -> None:
    def fail() -> None:
        inferlog.bind_inference(status="success")
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        answer(fail)
    with pytest.raises(ValueError, match="boom"), inferlog.track_performance("predict"):
        fail()
    assert [event["status"] for event in inferlog_recorded.events] == ["error", "error"]
    assert read_overruled(inferlog_recorded) == {"status": "success"}


def test_bound_error_is_kept_with_exception_stack_trace(inferlog_recorded: Recorded) -> None:
    def fail() -> None:
        inferlog.bind_inference(error_type="out_of_memory", error_message="cache of 3 GB")
        raise RuntimeError("engine stopped")

    with pytest.raises(RuntimeError):
        answer(fail)
    with pytest.raises(RuntimeError), inferlog.track_performance("predict"):
        fail()
    for event in inferlog_recorded.events:
        assert (event["error"]["type"], event["error"]["message"]) == ("out_of_memory", "cache of 3 GB")
        assert "engine stopped" in event["error"]["stack_trace"]


def test_response_status_code_wins(inferlog_recorded: Recorded) -> None:
    answer(lambda: inferlog.bind_inference(status=503), status_code=200)
    event = inferlog_recorded.event
    assert (event["status"], event["error"], event["http"]["response"]) == (
        "error",
        {"type": "503"},
        {"status_code": 200},
    )
    assert read_overruled(inferlog_recorded) == {"http_response_status_code": 503}


def test_success_bound_for_incomplete_response_is_logged(inferlog_recorded: Recorded) -> None:
    answer(lambda: inferlog.bind_inference(status="success"), complete=False)
    event = inferlog_recorded.event
    assert (event["status"], event["error"]["type"]) == ("error", "incomplete_response")
    assert read_overruled(inferlog_recorded) == {"status": "success"}


def test_value_bound_during_call_wins_over_earlier_one(inferlog_recorded: Recorded) -> None:
    @inferlog.track_performance(model_version="v3", model_name="ranker", output_tokens=40)
    def predict() -> None:
        inferlog.bind_inference(model_version="v3.1")

    answer(predict)
    event = inferlog_recorded.event
    assert (event["model_version"], event["model_name"]) == ("v3.1", "ranker")
    assert event["gen_ai"]["usage"] == {"output_tokens": 40}


def test_binding_outside_request_is_logged_once(inferlog_recorded: Recorded) -> None:
    for _ in range(2):
        inferlog.bind_inference(model_version="v1", latency_seconds=2.5)
    assert inferlog_recorded.events == []
    (line,) = inferlog_recorded.log_lines
    assert line["message"].endswith("record a finished inference with inferlog.record_inference(…)")
