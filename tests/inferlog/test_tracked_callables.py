"""Decorated callables keep their kind, values and exceptions."""

import asyncio
import functools
import gc
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

import inferlog
from inferlog.context import Inference, current_inference
from tests.support.logfiles import Logs


class Model:
    version = "v3"

    @inferlog.track_performance
    def judge(self, value: int) -> str:
        inferlog.bind_inference(model_version=self.version)
        return f"{self.version} {value}"

    @classmethod
    @inferlog.track_performance
    def judge_inside_classmethod(cls, value: int) -> str:
        return f"{cls.version} {value}"

    @inferlog.track_performance
    @classmethod
    def judge_around_classmethod(cls, value: int) -> str:
        return f"{cls.version} {value}"

    @inferlog.track_performance("named", model_version="v3")
    @staticmethod
    def judge_around_staticmethod(value: int) -> str:
        return f"v3 {value}"


class CallableObject:
    def __call__(self, value: int) -> str:
        return f"v3 {value}"


def _join(prefix: str, value: int) -> str:
    return f"{prefix} {value}"


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Model().judge, "judge"),
        (Model.judge_inside_classmethod, "judge_inside_classmethod"),
        (Model().judge_around_classmethod, "judge_around_classmethod"),
        (Model.judge_around_classmethod, "judge_around_classmethod"),
        (Model().judge_around_staticmethod, "named"),
        (Model.judge_around_staticmethod, "named"),
        (inferlog.track_performance(CallableObject()), "CallableObject"),
        (inferlog.track_performance(functools.partial(_join, "v3")), "_join"),
        (inferlog.track_performance(lambda value: f"v3 {value}"), "<lambda>"),
    ],
)
def test_every_kind_of_callable_is_timed(logs: Logs, call: Callable[[int], str], name: str) -> None:
    assert call(5) == "v3 5"
    assert logs.event["gen_ai"]["operation"]["name"] == name


def test_class_is_rejected(logs: Logs) -> None:
    with pytest.raises(TypeError, match="Model is a class; decorate the method"):
        inferlog.track_performance(Model)


class AsyncCallable:
    async def __call__(self) -> str:
        await asyncio.sleep(0.01)
        return "v3"


async def _wait() -> str:
    await asyncio.sleep(0.01)
    return "v3"


def _return_coroutine() -> Any:
    return _wait()


@pytest.mark.parametrize("function", [_wait, AsyncCallable(), functools.partial(_wait), _return_coroutine])
def test_coroutine_is_timed_to_its_end(logs: Logs, function: Any) -> None:
    timed = inferlog.track_performance(function)
    is_async = function is not _return_coroutine
    assert inspect.iscoroutinefunction(timed) == is_async
    assert asyncio.run(timed()) == "v3"
    assert logs.event["latency_seconds"] >= 0.01


def count_to(stop: int) -> Generator[int, int | None, str]:
    """Count, restart at a sent number, yield 0 for a thrown ValueError."""
    number = 0
    while number < stop:
        number += 1
        try:
            sent = yield number
        except ValueError:
            number = -1
        else:
            number = number if sent is None else sent
    return "done"


def _return_generator(stop: int) -> Generator[int, int | None, str]:
    return count_to(stop)


@pytest.mark.parametrize("function", [count_to, functools.partial(count_to), _return_generator])
def test_generator_receives_sent_and_thrown_values_and_returns_its_value(logs: Logs, function: Any) -> None:
    made = inferlog.track_performance(function)(5)
    assert inspect.isgenerator(made)
    items: Any = made
    assert next(items) == 1
    assert items.send(3) == 4
    assert items.throw(ValueError) == 0
    assert items.send(4) == 5
    with pytest.raises(StopIteration) as end:
        next(items)
    assert end.value.value == "done"
    assert logs.event["status"] == "success"
    assert 0 <= logs.event["time_to_first_token_seconds"] <= logs.event["latency_seconds"]


def test_exception_unhandled_by_generator_propagates_and_is_its_error(logs: Logs) -> None:
    items = inferlog.track_performance(count_to)(5)
    next(items)
    boom = LookupError("thrown in")
    with pytest.raises(LookupError) as caught:
        items.throw(boom)
    assert caught.value is boom
    assert logs.event["error"]["type"] == "LookupError"


def close_badly() -> Iterator[int]:
    try:
        yield 1
    finally:
        raise OSError("cannot be closed")


def stay_open() -> Iterator[int]:
    try:
        yield 1
    except GeneratorExit:
        yield 2


@pytest.mark.parametrize(("function", "error"), [(close_badly, OSError), (stay_open, RuntimeError)])
def test_exception_at_generator_close_is_its_error(
    logs: Logs, function: Callable[[], Iterator[int]], error: type[Exception]
) -> None:
    items: Any = inferlog.track_performance(function)()
    next(items)
    with pytest.raises(error):
        items.close()
    assert logs.event["error"]["type"] == error.__name__


def test_value_bound_at_close_of_generator_is_written(logs: Logs) -> None:
    @inferlog.track_performance
    def stream() -> Iterator[int]:
        try:
            yield 1
        finally:
            inferlog.bind_inference(output_tokens=1)

    items: Any = stream()
    next(items)
    items.close()
    assert logs.event["status"] == "cancelled"
    assert logs.event["gen_ai"]["usage"] == {"output_tokens": 1}


def test_unreferenced_generator_is_cancelled(logs: Logs) -> None:
    next(inferlog.track_performance(count_to)(5))
    assert logs.event["status"] == "cancelled"


def test_generator_never_iterated_writes_no_event(logs: Logs) -> None:
    inferlog.track_performance(count_to)(5).close()
    assert logs.events == []


async def count_async(stop: int) -> AsyncGenerator[int, int | None]:
    """Count like `count_to`, waiting before each number."""
    number = 0
    while number < stop:
        number += 1
        await asyncio.sleep(0)
        try:
            sent = yield number
        except ValueError:
            number = -1
        else:
            number = number if sent is None else sent


def _return_async_generator(stop: int) -> AsyncGenerator[int, int | None]:
    return count_async(stop)


@pytest.mark.parametrize("function", [count_async, functools.partial(count_async), _return_async_generator])
def test_async_generator_receives_sent_and_thrown_values(logs: Logs, function: Any) -> None:
    async def drive() -> None:
        made = inferlog.track_performance(function)(5)
        assert inspect.isasyncgen(made)
        items: Any = made
        assert await anext(items) == 1
        assert await items.asend(3) == 4
        assert await items.athrow(ValueError()) == 0
        assert await items.asend(4) == 5
        with pytest.raises(StopAsyncIteration):
            await anext(items)

    asyncio.run(drive())
    assert logs.event["status"] == "success"
    assert 0 <= logs.event["time_to_first_token_seconds"] <= logs.event["latency_seconds"]


def test_async_generator_that_is_closed_is_cancelled_and_cleans_up(logs: Logs) -> None:
    @inferlog.track_performance
    async def stream() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            inferlog.bind_inference(output_tokens=1)

    async def drive() -> None:
        items: Any = stream()
        await anext(items)
        await items.aclose()

    asyncio.run(drive())
    assert logs.event["status"] == "cancelled"
    assert logs.event["gen_ai"]["usage"] == {"output_tokens": 1}


def test_unreferenced_async_generator_is_cancelled_by_loop(logs: Logs) -> None:
    async def drive() -> None:
        await anext(inferlog.track_performance(count_async)(5))

    asyncio.run(drive())
    assert logs.event["status"] == "cancelled"


def test_async_generator_is_cancelled_when_its_step_is(logs: Logs) -> None:
    @inferlog.track_performance
    async def stream() -> AsyncIterator[int]:
        yield 1
        await asyncio.Future()

    async def drive() -> None:
        items = stream()
        await anext(items)
        async with asyncio.timeout(0.01):
            await anext(items)

    with pytest.raises(TimeoutError):
        asyncio.run(drive())
    assert logs.event["status"] == "cancelled"


def test_exception_at_async_generator_close_is_its_error(logs: Logs) -> None:
    @inferlog.track_performance
    async def stream() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise OSError("cannot be closed")

    async def drive() -> None:
        items: Any = stream()
        await anext(items)
        await items.aclose()

    with pytest.raises(OSError, match="cannot be closed"):
        asyncio.run(drive())
    assert logs.event["error"]["type"] == "OSError"


def test_many_tasks_share_one_decorated_stream_and_keep_their_own(logs: Logs) -> None:
    @inferlog.track_performance
    async def stream(name: str) -> AsyncIterator[str]:
        for part in "abc":
            inferlog.bind_inference(model_version=name)
            await asyncio.sleep(0)
            inferlog.bind_inference(model_name=name)
            yield part

    async def read(name: str) -> str:
        return "".join([part async for part in stream(name)])

    async def drive() -> list[str]:
        return await asyncio.gather(*(read(str(number)) for number in range(20)))

    assert asyncio.run(drive()) == ["abc"] * 20
    assert sorted(event["model_version"] for event in logs.events) == sorted(map(str, range(20)))
    assert all(event["model_name"] == event["model_version"] for event in logs.events)


def test_recursive_function_writes_one_event_with_sum_of_calls(logs: Logs) -> None:
    @inferlog.track_performance(output_tokens=1)
    def descend(depth: int) -> int:
        return 0 if depth == 0 else 1 + descend(depth - 1)

    assert descend(3) == 3
    assert logs.event["gen_ai"]["usage"] == {"output_tokens": 4}


def test_context_is_restored_after_every_call(logs: Logs) -> None:
    items = inferlog.track_performance(count_to)(3)
    for _ in items:
        assert current_inference.get() is None
    tracked: Any = inferlog.track_performance(_join)
    tracked("a", 1)
    with pytest.raises(TypeError):
        tracked()
    assert current_inference.get() is None


@pytest.mark.parametrize(
    "function",
    [
        lambda: {"version": "v4", "tokens": 7},
        lambda: iterate({"version": "v3", "tokens": 1}, {"version": "v4", "tokens": 7}),
    ],
)
def test_value_is_found_in_result_or_last_item(logs: Logs, function: Any) -> None:
    timed = inferlog.track_performance(
        "predict", model_version=lambda item: item["version"], output_tokens=lambda item: item["tokens"]
    )(function)
    result = timed()
    assert isinstance(result, dict) or list(result)
    assert logs.event["model_version"] == "v4"
    assert logs.event["gen_ai"]["usage"] == {"output_tokens": 7}


def iterate(*items: Any) -> Iterator[Any]:
    yield from items


def test_value_bound_by_call_wins_over_one_in_result(logs: Logs) -> None:
    @inferlog.track_performance(model_version=lambda _: "v3")
    def predict() -> None:
        inferlog.bind_inference(model_version="v4")

    predict()
    assert logs.event["model_version"] == "v4"


def test_failing_callback_is_logged_and_result_returned(logs: Logs) -> None:
    @inferlog.track_performance(model_version=lambda result: result.version)
    def predict() -> str:
        return "no version"

    assert predict() == "no version"
    assert "model_version" not in logs.event
    (line,) = logs.read_lines("app")
    assert line["labels"]["reasons"].startswith("model_version: AttributeError")


@pytest.mark.parametrize("function", [count_to, count_async])
def test_abandoned_stream_writes_no_second_event(logs: Logs, function: Any) -> None:
    request = Inference()
    request.bind({"request_id": "request", "correlation_id": "chain"})

    async def serve() -> None:
        current_inference.set(request)
        items = inferlog.track_performance("predict", model_version="v1", input_tokens=3)(function)(5)
        if inspect.isasyncgen(items):
            await anext(items)
        else:
            next(items)
        request.ended = True  # and only now does anything close the stream

    asyncio.run(serve())
    gc.collect()
    assert logs.events == []
    assert request.fields["model_version"] == "v1"
    assert "time_to_first_token_seconds" in request.fields
    assert "input_tokens" not in request.fields
