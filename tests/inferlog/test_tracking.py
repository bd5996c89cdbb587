import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from logfiles import Logs

import inferlog


def test_a_call_outside_a_request_is_one_event(logs: Logs) -> None:
    @inferlog.track_performance(model_version="v3")
    def predict(batch: list[int]) -> int:
        inferlog.bind_inference(input_tokens=len(batch), output_tokens=40)
        return sum(batch)

    assert predict([1, 2, 3]) == 6
    event = logs.event
    assert event["event"]["action"] == "inference_completed"
    assert event["event"]["sequence"] == 0
    assert event["status"] == "success"
    assert event["model_version"] == "v3"
    assert event["gen_ai"] == {"operation": {"name": "predict"}, "usage": {"input_tokens": 3, "output_tokens": 40}}
    assert 0 <= event["latency_seconds"] < 5
    assert event["request_id"] == event["correlation_id"]


def test_the_decorator_needs_no_arguments_and_keeps_the_function_s_face(logs: Logs) -> None:
    @inferlog.track_performance
    def predict() -> str:
        """Predict."""
        return "x"

    assert (predict(), predict.__name__, predict.__doc__) == ("x", "predict", "Predict.")
    assert logs.event["status"] == "success"


def test_the_original_exception_comes_through_and_is_described(logs: Logs) -> None:
    boom = ValueError("no such class: Bearer abcdefgh12345678")

    @inferlog.track_performance
    def predict() -> None:
        raise boom

    with pytest.raises(ValueError, match="no such class") as caught:
        predict()
    assert caught.value is boom
    event = logs.event
    assert (event["status"], event["event"]["outcome"]) == ("error", "failure")
    assert event["error"]["type"] == "ValueError"
    assert event["error"]["message"] == "no such class: Bearer [REDACTED]"
    assert "in predict" in event["error"]["stack_trace"]
    assert "abcdefgh12345678" not in event["error"]["stack_trace"]


def test_a_block_takes_what_its_body_says(logs: Logs) -> None:
    with inferlog.track_performance("classify", model_version="v3") as call:
        call.output_tokens = 40
        call.customer = "acme"
    event = logs.event
    assert event["gen_ai"] == {"operation": {"name": "classify"}, "usage": {"output_tokens": 40}}
    assert event["labels"] == {"customer": "acme"}


def test_a_coroutine_is_timed_until_it_returns(logs: Logs) -> None:
    @inferlog.track_performance(model_version="v3")
    async def predict() -> int:
        await asyncio.sleep(0.02)
        return 1

    assert asyncio.run(predict()) == 1
    assert logs.event["latency_seconds"] >= 0.02


def test_a_cancelled_coroutine_is_cancelled(logs: Logs) -> None:
    @inferlog.track_performance
    async def predict() -> None:
        await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.create_task(predict())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert (logs.event["status"], logs.event["event"]["outcome"]) == ("cancelled", "unknown")


def test_a_generator_is_timed_until_exhausted(logs: Logs) -> None:
    @inferlog.track_performance(model_version="v3")
    def stream() -> Iterator[str]:
        yield "a"
        inferlog.bind_inference(output_tokens=2)
        yield "b"

    assert list(stream()) == ["a", "b"]
    event = logs.event
    assert event["gen_ai"]["usage"]["output_tokens"] == 2
    assert event["time_to_first_token_seconds"] <= event["latency_seconds"]


def test_a_generator_left_early_is_cancelled(logs: Logs) -> None:
    @inferlog.track_performance
    def stream() -> Iterator[str]:
        yield "a"
        yield "b"

    items = stream()
    next(items)
    items.close()
    assert logs.event["status"] == "cancelled"


def test_an_async_generator_that_fails_is_an_error(logs: Logs) -> None:
    @inferlog.track_performance
    async def stream() -> AsyncIterator[str]:
        yield "a"
        raise RuntimeError("stream broke")

    async def read() -> None:
        async for _ in stream():
            pass

    with pytest.raises(RuntimeError, match="stream broke"):
        asyncio.run(read())
    assert logs.event["error"]["type"] == "RuntimeError"


def test_between_two_items_of_a_generator_the_caller_is_on_its_own(logs: Logs) -> None:
    @inferlog.track_performance
    def stream() -> Iterator[str]:
        yield "a"

    for _ in stream():
        inferlog.bind_inference(model_version="someone else's")
    assert "model_version" not in logs.event


def test_a_call_within_a_call_adds_to_the_outer_event(logs: Logs) -> None:
    with inferlog.track_performance("outer", model_version="v3"):
        for _ in range(2):
            with inferlog.track_performance("inner") as call:
                call.input_tokens = 10
                call.output_tokens = 5
    event = logs.event
    assert event["gen_ai"]["usage"] == {"input_tokens": 20, "output_tokens": 10}
    assert event["model_latency_seconds"] <= event["latency_seconds"]


def test_a_separate_call_has_an_event_of_its_own_in_the_same_chain(logs: Logs) -> None:
    with inferlog.track_performance("outer"), inferlog.track_performance("inner", separate=True):
        pass
    inner, outer = logs.events
    assert inner["correlation_id"] == outer["correlation_id"]
    assert inner["request_id"] != outer["request_id"]


def test_nonsense_is_left_out_and_named_in_the_log(logs: Logs) -> None:
    with inferlog.track_performance("predict") as call:
        call.output_tokens = -1
        call.latency_seconds = "fast"
    assert "usage" not in logs.event["gen_ai"]
    (line,) = logs.lines("app")
    assert line["message"] == "inferlog.value_refused"
    assert "output_tokens: -1 is no count" in line["labels"]["reasons"]
    assert line["request_id"] == logs.event["request_id"]


def test_binding_outside_of_anything_does_nothing(logs: Logs) -> None:
    inferlog.bind_inference(model_version="v1")
    assert logs.events == []


def test_use_before_configuration_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferlog.configuration._runtime", None)
    with pytest.raises(inferlog.NotConfiguredError, match="call inferlog.configure"), inferlog.track_performance("x"):
        pass
