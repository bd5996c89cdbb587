import asyncio
import contextvars
import sys
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import pytest

import inferlog
from inferlog.context import Inference, current_inference
from tests.support.logfiles import Logs


def test_call_outside_request_is_one_event(logs: Logs) -> None:
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


def test_decorator_without_arguments_keeps_signature(logs: Logs) -> None:
    @inferlog.track_performance
    def predict() -> str:
        """Predict."""
        return "x"

    assert (predict(), predict.__name__, predict.__doc__) == ("x", "predict", "Predict.")
    assert logs.event["status"] == "success"


def test_original_exception_propagates_and_is_in_event(logs: Logs) -> None:
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


def test_block_takes_values_of_its_body(logs: Logs) -> None:
    with inferlog.track_performance("classify", model_version="v3") as call:
        call.output_tokens = 40
        call.customer = "acme"
    event = logs.event
    assert event["gen_ai"] == {"operation": {"name": "classify"}, "usage": {"output_tokens": 40}}
    assert event["labels"] == {"customer": "acme"}


def test_coroutine_is_timed_until_it_returns(logs: Logs) -> None:
    @inferlog.track_performance(model_version="v3")
    async def predict() -> int:
        await asyncio.sleep(0.02)
        return 1

    assert asyncio.run(predict()) == 1
    assert logs.event["latency_seconds"] >= 0.02


def test_cancelled_coroutine_is_cancelled(logs: Logs) -> None:
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


def test_generator_is_timed_until_exhausted(logs: Logs) -> None:
    @inferlog.track_performance(model_version="v3")
    def stream() -> Iterator[str]:
        yield "a"
        inferlog.bind_inference(output_tokens=2)
        yield "b"

    assert list(stream()) == ["a", "b"]
    event = logs.event
    assert event["gen_ai"]["usage"]["output_tokens"] == 2
    assert event["time_to_first_token_seconds"] <= event["latency_seconds"]


def test_generator_closed_early_is_cancelled(logs: Logs) -> None:
    @inferlog.track_performance
    def stream() -> Generator[str, None, None]:
        yield "a"
        yield "b"

    items = stream()
    next(items)
    items.close()
    assert logs.event["status"] == "cancelled"


def test_async_generator_that_fails_is_error(logs: Logs) -> None:
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


def test_caller_is_outside_call_between_two_items_of_generator(logs: Logs) -> None:
    @inferlog.track_performance
    def stream() -> Iterator[str]:
        yield "a"

    for _ in stream():
        inferlog.bind_inference(model_version="someone else's")
    assert "model_version" not in logs.event


def test_call_within_call_adds_to_outer_event(logs: Logs) -> None:
    with inferlog.track_performance("outer", model_version="v3"):
        for _ in range(2):
            with inferlog.track_performance("inner") as call:
                call.input_tokens = 10
                call.output_tokens = 5
    event = logs.event
    assert event["gen_ai"]["usage"] == {"input_tokens": 20, "output_tokens": 10}
    assert event["model_latency_seconds"] <= event["latency_seconds"]


def test_separate_call_has_own_event_in_same_chain(logs: Logs) -> None:
    with inferlog.track_performance("outer"), inferlog.track_performance("inner", separate=True):
        pass
    inner, outer = logs.events
    assert inner["correlation_id"] == outer["correlation_id"]
    assert inner["request_id"] != outer["request_id"]


def test_invalid_value_is_omitted_and_logged(logs: Logs) -> None:
    with inferlog.track_performance("predict") as call:
        call.output_tokens = -1
        call.latency_seconds = "fast"
    assert "usage" not in logs.event["gen_ai"]
    (line,) = logs.read_lines("app")
    assert line["message"] == "inferlog.value_refused"
    assert "output_tokens: -1 is not a valid count" in line["labels"]["reasons"]
    assert line["request_id"] == logs.event["request_id"]


def test_block_can_be_asynchronous(logs: Logs) -> None:
    async def predict() -> None:
        async with inferlog.track_performance("classify") as call:
            await asyncio.sleep(0.01)
            call.output_tokens = 40

    asyncio.run(predict())
    assert logs.event["latency_seconds"] >= 0.01
    assert logs.event["gen_ai"]["usage"] == {"output_tokens": 40}


def test_one_tracker_serves_blocks_one_after_other_and_within_itself(logs: Logs) -> None:
    tracker = inferlog.track_performance("classify", output_tokens=1)
    with tracker:
        pass
    with tracker, tracker as inner:
        inner.output_tokens = 10
    assert [event["gen_ai"]["usage"]["output_tokens"] for event in logs.events] == [1, 11]
    assert current_inference.get() is None


def test_one_tracker_serves_blocks_of_many_threads(logs: Logs) -> None:
    tracker = inferlog.track_performance("classify")
    together = threading.Barrier(4)

    def predict(number: int) -> None:
        with tracker as call:
            together.wait(10)
            inferlog.bind_inference(model_version=str(number))
            call.model_name = str(number)
            together.wait(10)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(predict, range(40)))
    assert sorted(event["model_version"] for event in logs.events) == sorted(map(str, range(40)))
    assert all(event["model_name"] == event["model_version"] for event in logs.events)


def test_one_tracker_serves_blocks_of_many_tasks_ending_in_any_order(logs: Logs) -> None:
    tracker = inferlog.track_performance("classify")

    async def predict(number: int) -> None:
        async with tracker as call:
            await asyncio.sleep(0.001 * (number % 3))
            call.model_version = str(number)
            inferlog.bind_inference(model_name=str(number))

    async def drive() -> None:
        await asyncio.gather(*(predict(number) for number in range(20)))

    asyncio.run(drive())
    assert sorted(event["model_version"] for event in logs.events) == sorted(map(str, range(20)))
    assert all(event["model_name"] == event["model_version"] for event in logs.events)


def test_block_can_end_in_other_context(logs: Logs) -> None:
    # A dependency that yields does that: its two halves run in two threads, each with a copy of the context.
    def dependency() -> Iterator[Any]:
        with inferlog.track_performance("classify") as call:
            yield call

    halves = dependency()
    call = contextvars.copy_context().run(next, halves)
    call.output_tokens = 40
    assert contextvars.copy_context().run(next, halves, None) is None
    assert logs.event["gen_ai"]["usage"] == {"output_tokens": 40}
    assert current_inference.get() is None


def test_block_that_ends_in_other_context_is_that_of_its_request(logs: Logs) -> None:
    tracker = inferlog.track_performance("classify")

    def dependency() -> Iterator[Any]:
        with tracker as call:
            yield call

    requests = [_build_request(), _build_request()]
    halves = []
    for request in requests:
        token = current_inference.set(request)
        halves.append(dependency())
        contextvars.copy_context().run(next, halves[-1]).output_tokens = 40
        current_inference.reset(token)
    for request, half in zip(requests, halves, strict=True):
        token = current_inference.set(request)
        contextvars.copy_context().run(next, half, None)
        current_inference.reset(token)
        assert "model_latency_seconds" in request.fields
    assert [request.fields["output_tokens"] for request in requests] == [40, 40]


def test_each_block_of_one_tracker_ends_its_own_call_in_other_context(logs: Logs) -> None:
    tracker = inferlog.track_performance("classify")

    def dependency(output_tokens: int) -> Generator[None]:
        with tracker as call:
            call.output_tokens = output_tokens
            yield

    halves = [dependency(number) for number in range(4)]
    for half in halves:
        contextvars.copy_context().run(next, half)
    with pytest.raises(ValueError, match="of 1"):
        contextvars.copy_context().run(halves[1].throw, ValueError("of 1"))
    for number in (0, 3, 2):
        contextvars.copy_context().run(next, halves[number], None)
    assert [event["gen_ai"]["usage"]["output_tokens"] for event in logs.events] == [1, 0, 3, 2]
    assert [event["status"] for event in logs.events] == ["error", "success", "success", "success"]


def test_each_asynchronous_block_of_one_tracker_ends_its_own_call_in_other_context(logs: Logs) -> None:
    tracker = inferlog.track_performance("classify")

    async def dependency(output_tokens: int) -> AsyncIterator[None]:
        async with tracker as call:
            call.output_tokens = output_tokens
            yield

    def run(half: AsyncIterator[None]) -> None:
        with suppress(StopIteration, StopAsyncIteration):
            contextvars.copy_context().run(anext(half).__await__().__next__)

    halves = [dependency(number) for number in range(3)]
    for half in (*halves, halves[1], halves[0], halves[2]):
        run(half)
    assert [event["gen_ai"]["usage"]["output_tokens"] for event in logs.events] == [1, 0, 2]


def test_blocks_of_exit_stacks_end_their_own_calls_in_their_contexts(logs: Logs) -> None:
    tracker = inferlog.track_performance("classify")
    contexts = [contextvars.copy_context() for _ in range(3)]
    stacks = [ExitStack() for _ in contexts]
    for number, (context, stack) in enumerate(zip(contexts, stacks, strict=True)):
        context.run(stack.enter_context, tracker).output_tokens = number
    for number in (1, 0, 2):
        contexts[number].run(stacks[number].close)
    assert [event["gen_ai"]["usage"]["output_tokens"] for event in logs.events] == [1, 0, 2]
    assert logs.read_lines("app") == []


def test_block_of_exit_stack_that_ends_in_other_context_warns_once_of_a_guess(logs: Logs) -> None:
    tracker = inferlog.track_performance("classify")
    stacks = [ExitStack() for _ in range(3)]
    for stack in stacks:
        contextvars.copy_context().run(stack.enter_context, tracker)
    for stack in stacks:
        contextvars.copy_context().run(stack.close)
    assert len(logs.events) == 3
    (line,) = logs.read_lines("app")
    assert "may have the time" in line["message"]


def test_abandoned_generator_ends_its_call(logs: Logs) -> None:
    tracker = inferlog.track_performance("classify")

    def stream() -> Iterator[int]:
        with tracker:
            yield 1

    first, second = stream(), stream()
    assert contextvars.copy_context().run(next, first) == contextvars.copy_context().run(next, second) == 1
    del first
    assert len(logs.events) == 1
    del second
    assert [event["status"] for event in logs.events] == ["cancelled", "cancelled"]


def test_block_rejects_callbacks_of_result(logs: Logs) -> None:
    with (
        pytest.raises(TypeError, match="model_version takes a result"),
        inferlog.track_performance("classify", model_version=lambda result: result.version),
    ):
        pass


def test_call_ending_after_its_request_has_own_event(logs: Logs) -> None:
    request = _build_request()
    token = current_inference.set(request)
    with inferlog.track_performance("began in time") as call:
        call.output_tokens = 40
        request.ended = True
    with inferlog.track_performance("began later"):
        pass
    current_inference.reset(token)
    assert [event["gen_ai"]["operation"]["name"] for event in logs.events] == ["began in time", "began later"]
    assert {event["correlation_id"] for event in logs.events} == {"chain"}
    assert {event["trace"]["id"] for event in logs.events} == {"4bf92f3577b34da6a3ce929d0e0e4736"}
    assert len({event["request_id"] for event in logs.events} | {"request"}) == 3


def test_calls_of_many_threads_in_one_request_add_up(logs: Logs, eager_threads: None) -> None:
    request = _build_request()

    together = threading.Barrier(4)

    def predict() -> None:
        together.wait(10)
        for _ in range(3000):
            with inferlog.track_performance("classify") as call:
                call.output_tokens = 1

    context = contextvars.copy_context()
    context.run(current_inference.set, request)
    threads = [threading.Thread(target=context.copy().run, args=(predict,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert request.fields["output_tokens"] == 12000
    assert logs.events == []


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Make Python switch threads as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def _build_request() -> Inference:
    request = Inference()
    request.bind(
        {
            "request_id": "request",
            "correlation_id": "chain",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "span_id": "00f067aa0ba902b7",
        }
    )
    return request


@pytest.mark.parametrize("error", [OSError("disk is gone"), RuntimeError("odd")])
def test_failure_to_log_changes_neither_result_nor_exception(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    @inferlog.track_performance
    def predict(value: int) -> float:
        return 1 / value

    def record(*_: object) -> None:
        raise error

    monkeypatch.setattr("inferlog.runtime.Runtime.record", record)
    assert predict(2) == 0.5
    with pytest.raises(ZeroDivisionError):
        predict(0)
    (line, _) = logs.read_lines("app")
    assert line["message"] == "inferlog.failed: the event of a call"
    assert line["error"]["message"] == str(error)


class Hostile:
    """Raises at every access."""

    def __float__(self) -> float:
        raise RuntimeError("a tensor of two items")

    def __index__(self) -> int:
        raise RuntimeError("a tensor of two items")

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_raising_value_breaks_nothing(logs: Logs) -> None:
    with inferlog.track_performance("predict") as call:
        call.output_tokens = Hostile()
        call.queue_seconds = Hostile()
        call.model_version = Hostile()
        call.finish_reasons = Hostile()
        call.anything = Hostile()
        call.error_message = Hostile()
    assert logs.event["labels"] == {"anything": "<Hostile without a text form>"}
    assert logs.event["error"]["message"] == "<Hostile without a text form>"
