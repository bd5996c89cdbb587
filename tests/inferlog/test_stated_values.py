"""Bound values: written, or logged once if an observed value wins."""

import asyncio
import contextvars
import re
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import pytest

import inferlog
from inferlog import context
from inferlog.call import Call
from inferlog.context import Inference, current_inference
from inferlog.testing import Recorded


def answer(handler: Callable[[], Any], *, status_code: int = 200, complete: bool = True) -> None:
    """Handle one request through the ASGI middleware."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        handler()
        await send({"type": "http.response.start", "status": status_code, "headers": []})
        if complete:
            await send({"type": "http.response.body", "body": b"ok"})

    serve(app)


def serve(app: Callable[..., Any]) -> None:
    """Send one request to *app* through the ASGI middleware."""

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


def run_outside(handler: Callable[[], Any]) -> None:
    handler()


def run_in_call(handler: Callable[[], Any]) -> None:
    with inferlog.track_performance("outer"):
        handler()


def run_in_call_of_request(handler: Callable[[], Any]) -> None:
    answer(lambda: run_in_call(handler))


def run_in_flask(handler: Callable[[], Any]) -> None:
    app = flask.Flask("stated")
    app.wsgi_app = inferlog.InferenceWSGIMiddleware(app.wsgi_app)  # type: ignore[method-assign]

    @app.get("/")
    def stream() -> flask.Response:
        return flask.Response(handler() or b"ok")

    app.test_client().get("/").get_data()


PLACES = [run_outside, answer, run_in_call, run_in_call_of_request, run_in_flask]
in_every_place = pytest.mark.parametrize("run", PLACES)


def track(known: dict[str, Any], state: Callable[[], None]) -> Callable[[], None]:
    """Return a tracked function whose code runs *state*."""

    @inferlog.track_performance("ask", **known)
    def ask() -> None:
        state()

    return ask


def bind(**values: Any) -> Callable[[], None]:
    return lambda: inferlog.bind_inference(**values)


def write_line(**values: Any) -> Callable[[], None]:
    return lambda: inferlog.get_logger().info("inference_completed", latency_seconds=2.5, **values)


@in_every_place
@pytest.mark.parametrize("state", [bind, write_line])
@pytest.mark.parametrize("known", [lambda value: value, lambda value: lambda _: value], ids=["constant", "callback"])
@pytest.mark.parametrize(
    ("name", "path", "values"),
    [
        ("output_tokens", "gen_ai.usage.output_tokens", (40, 5)),
        ("output_tokens", "gen_ai.usage.output_tokens", (40, 40)),
        ("cost_usd", "cost_usd", (0.5, 0.25)),
        ("model_version", "model_version", ("stated", "decorator's")),
        ("finish_reasons", "gen_ai.response.finish_reasons", (["stop"], ["length"])),
        ("time_to_first_token_seconds", "time_to_first_token_seconds", (0.3, 0.2)),
        ("tenant", "labels.tenant", ("stated", "decorator's")),
    ],
)
def test_value_stated_during_call_counts_instead_of_decorators(
    inferlog_recorded: Recorded, run: Any, state: Any, known: Any, name: str, path: str, values: tuple[Any, Any]
) -> None:
    stated, decorators = values
    run(track({name: known(decorators)}, state(**{name: stated})))
    assert read_path(inferlog_recorded.event, path) == stated


def read_path(event: Any, path: str) -> Any:
    for key in path.split("."):
        event = event[key]
    return event


@in_every_place
def test_error_stated_during_call_counts_instead_of_callbacks(inferlog_recorded: Recorded, run: Any) -> None:
    run(track({"error": lambda _: "from the result"}, bind(error="stated")))
    assert inferlog_recorded.event["error"]["message"] == "stated"


@in_every_place
@pytest.mark.parametrize("state", [bind, write_line])
@pytest.mark.parametrize("known", [{}, {"model_latency_seconds": 1.0}, {"model_latency_seconds": lambda _: 1.0}])
def test_model_seconds_stated_during_call_count_instead_of_clock(
    inferlog_recorded: Recorded, run: Any, state: Any, known: dict[str, Any]
) -> None:
    run(track(known, state(model_latency_seconds=2.0)))
    assert inferlog_recorded.event["model_latency_seconds"] == 2.0


@pytest.mark.parametrize("run", PLACES[1:])
@pytest.mark.parametrize("state", [bind(latency_seconds=2.5), write_line()], ids=["bind", "line"])
@pytest.mark.parametrize("known", [{}, {"latency_seconds": 1.5}, {"latency_seconds": lambda _: 1.5}])
def test_latency_stated_during_call_inside_other_becomes_model_latency(
    inferlog_recorded: Recorded, run: Any, state: Any, known: dict[str, Any]
) -> None:
    run(track(known, state))
    event = inferlog_recorded.event
    assert (event["model_latency_seconds"], event["latency_seconds"] < 1.5) == (2.5, True)
    assert inferlog_recorded.log_lines == []


@in_every_place
def test_last_statement_of_call_counts_once(inferlog_recorded: Recorded, run: Any) -> None:
    def state() -> None:
        for number in (10, 50, 40):
            inferlog.bind_inference(output_tokens=number, model_version=f"v{number}")

    run(track({"output_tokens": 3}, state))
    event = inferlog_recorded.event
    assert (event["gen_ai"]["usage"]["output_tokens"], event["model_version"]) == (40, "v40")


@in_every_place
@pytest.mark.parametrize("items", [("stated", "a", "b"), ("", "stated", "a"), ("a", "stated", "b")])
def test_first_token_stated_in_stream_counts_instead_of_clock(
    inferlog_recorded: Recorded, run: Any, items: tuple[str, ...]
) -> None:
    @inferlog.track_performance
    def stream() -> Iterator[str]:
        for item in items:
            if item == "stated":
                inferlog.bind_inference(time_to_first_token_seconds=0.3)
            else:
                yield item

    run(stream if run is run_in_flask else lambda: list(stream()))
    assert inferlog_recorded.event["time_to_first_token_seconds"] == 0.3


@pytest.mark.parametrize("run", PLACES[1:4])
def test_first_token_stated_before_stream_counts_instead_of_clock(inferlog_recorded: Recorded, run: Any) -> None:
    def handler() -> None:
        inferlog.bind_inference(time_to_first_token_seconds=0.3)
        list(inferlog.track_performance("ask")(lambda: iter(["a"]))())
        list(inferlog.track_performance("ask")(give_items)("a", "b"))

    run(handler)
    assert inferlog_recorded.event["time_to_first_token_seconds"] == 0.3


def give_items(*items: str) -> Generator[str, None, None]:
    yield from items


@pytest.mark.parametrize("run", PLACES[1:4])
def test_value_stated_between_items_is_not_of_stream(inferlog_recorded: Recorded, run: Any) -> None:
    stream = inferlog.track_performance("ask", output_tokens=lambda _: 5)(give_items)

    def handler() -> None:
        for _ in stream("a", "b"):
            inferlog.bind_inference(output_tokens=40)

    run(handler)
    assert inferlog_recorded.event["gen_ai"]["usage"]["output_tokens"] == 45


@pytest.mark.parametrize("run", PLACES[1:4])
def test_tokens_of_calls_and_tokens_stated_before_are_summed(inferlog_recorded: Recorded, run: Any) -> None:
    def handler() -> None:
        inferlog.bind_inference(output_tokens=1)
        track({"output_tokens": 10}, bind())()
        track({"output_tokens": lambda _: 100}, bind())()
        track({"output_tokens": 7}, bind(output_tokens=1000))()
        track({"output_tokens": lambda _: 7}, bind(output_tokens=10000))()

    run(handler)
    assert inferlog_recorded.event["gen_ai"]["usage"]["output_tokens"] == 11111


@in_every_place
@pytest.mark.parametrize(
    ("outer", "inner", "tokens"),
    [
        (lambda _: 40, bind(output_tokens=1), 41),
        (lambda _: 40, track({"output_tokens": 1}, bind()), 41),
        (40, bind(output_tokens=1), 41),
        (40, track({"output_tokens": lambda _: 1}, bind()), 41),
    ],
)
def test_tokens_of_call_and_of_calls_inside_it_are_summed(
    inferlog_recorded: Recorded, run: Any, outer: Any, inner: Callable[[], None], tokens: int
) -> None:
    run(track({"output_tokens": outer}, track({}, inner)))
    assert inferlog_recorded.event["gen_ai"]["usage"]["output_tokens"] == tokens


@pytest.mark.parametrize(
    ("known", "stated", "found"),
    [
        ({"latency_seconds": 3.0}, {}, 3.0),
        ({"latency_seconds": 0.5}, {}, 1.5),  # of calls at the same time
        ({"latency_seconds": 5.0}, {"latency_seconds": 3.0}, 3.0),
        ({}, {"latency_seconds": 0.5}, 0.5),
    ],
)
@pytest.mark.parametrize("run", PLACES[1:])
def test_seconds_of_call_include_those_of_calls_inside_it(
    inferlog_recorded: Recorded, run: Any, known: dict[str, Any], stated: dict[str, Any], found: float
) -> None:
    def handler() -> None:
        track({}, bind(latency_seconds=1.0))()
        track({}, track({}, bind(latency_seconds=0.5)))()
        inferlog.bind_inference(**stated)

    run(track(known, handler))
    assert inferlog_recorded.event["model_latency_seconds"] == found


@in_every_place
def test_total_stated_after_calls_inside_replaces_their_tokens(inferlog_recorded: Recorded, run: Any) -> None:
    def state() -> None:
        track({"output_tokens": 30}, bind())()
        inferlog.bind_inference(output_tokens=40)

    run(track({"output_tokens": lambda _: 50}, state))
    assert inferlog_recorded.event["gen_ai"]["usage"]["output_tokens"] == 40


def test_calls_of_concurrent_tasks_keep_their_own_values(inferlog_recorded: Recorded) -> None:
    tracker = inferlog.track_performance("block", output_tokens=1)

    async def state_odd(number: int) -> None:
        await asyncio.sleep(0)
        if number % 2:
            inferlog.bind_inference(output_tokens=number)
        await asyncio.sleep(0)

    @inferlog.track_performance(output_tokens=lambda _: 100)
    async def ask(number: int) -> None:
        await state_odd(number)

    async def ask_in_block(number: int) -> None:
        async with tracker:
            await state_odd(number)

    @inferlog.track_performance(output_tokens=lambda _: 100)
    async def stream(number: int) -> AsyncIterator[int]:
        for item in range(3):
            await state_odd(number)
            yield item

    async def read(number: int) -> list[int]:
        return [item async for item in stream(number)]

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await asyncio.gather(*(run(number) for number in range(10) for run in (ask, ask_in_block, read)))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    serve(app)
    stated = sum(range(1, 10, 2))
    assert inferlog_recorded.event["gen_ai"]["usage"]["output_tokens"] == 3 * stated + 5 * 100 + 5 * 1 + 5 * 100


def test_calls_of_concurrent_threads_keep_their_own_values(inferlog_recorded: Recorded) -> None:
    def ask(number: int) -> None:
        state = bind(output_tokens=number) if number % 2 else bind()
        track({"output_tokens": lambda _: 1000}, state)()

    def handler() -> None:
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(contextvars.copy_context().run, ask, number) for number in range(200)]
            for future in futures:
                future.result()

    answer(handler)
    assert inferlog_recorded.event["gen_ai"]["usage"]["output_tokens"] == sum(range(1, 200, 2)) + 100 * 1000


@pytest.mark.parametrize("name", ["model_version", "team"], ids=["field", "label"])
@pytest.mark.parametrize("inner", ["small", lambda _: "small"], ids=["constant", "callback"])
def test_callback_counts_instead_of_the_values_of_a_call_inside(
    inferlog_recorded: Recorded, name: str, inner: Any
) -> None:
    inner_values: dict[str, Any] = {name: inner}
    outer_values: dict[str, Any] = {name: lambda _: "big"}

    @inferlog.track_performance(**inner_values)
    def ask() -> None:
        pass

    outer = inferlog.track_performance(**outer_values)(ask)
    outer()
    answer(outer)
    found = [event[name] if name in event else event["labels"][name] for event in inferlog_recorded.events]
    assert found == ["big", "big"]


def test_tokens_stated_before_the_end_of_a_request_are_not_replaced_in_the_call_s_own_event(
    inferlog_recorded: Recorded,
) -> None:
    request = Inference({"request_id": "request", "correlation_id": "chain"})
    token = current_inference.set(request)
    with inferlog.track_performance("generate", input_tokens=10):
        inferlog.bind_inference(input_tokens=3)
        request.ended = True
    current_inference.reset(token)
    assert request.fields["input_tokens"] == 3
    (event,) = inferlog_recorded.events
    assert "usage" not in event["gen_ai"]


def test_tokens_that_call_adds_while_its_request_ends_are_in_the_request_s_event(
    inferlog_recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    adding, answered = threading.Event(), threading.Event()
    merge = Inference.merge

    def merge_slowly(self: Inference, values: Inference, before: Any) -> None:
        if "output_tokens" in values.fields:
            adding.set()
            answered.wait(0.3)
        merge(self, values, before)

    monkeypatch.setattr(Inference, "merge", merge_slowly)
    ask = threading.Thread(target=lambda: in_request.run(track({"output_tokens": lambda _: 40}, bind())))
    in_request = contextvars.Context()

    def handler() -> None:
        nonlocal in_request
        in_request = contextvars.copy_context()
        ask.start()
        adding.wait(10)

    answer(handler)
    answered.set()
    ask.join(10)
    # The call may end after its request, and has an event of its own then, before or after that of the request.
    usages = {event["event"]["action"]: event["gen_ai"].get("usage") for event in inferlog_recorded.events}
    in_request_event = ["http" in event for event in inferlog_recorded.events if "usage" in event["gen_ai"]]
    assert in_request_event == [True], usages


def test_value_stated_by_task_of_an_ended_call_is_of_the_call_around_it(inferlog_recorded: Recorded) -> None:
    def handle() -> None:
        with inferlog.track_performance("outer"):
            with inferlog.track_performance("inner"):
                inside = contextvars.copy_context()
            inside.run(inferlog.bind_inference, input_tokens=5)
            inferlog.bind_inference(input_tokens=100)

    answer(handle)
    (event,) = inferlog_recorded.events
    assert event["gen_ai"]["usage"]["input_tokens"] == 100


def test_value_stated_in_separate_call_is_not_of_outer_one(inferlog_recorded: Recorded) -> None:
    def state() -> None:
        with inferlog.track_performance("apart", separate=True):
            inferlog.bind_inference(output_tokens=40)

    answer(track({"output_tokens": lambda _: 5}, state))
    assert [event["gen_ai"]["usage"]["output_tokens"] for event in inferlog_recorded.events] == [40, 5]


def test_value_stated_by_task_that_outlives_call_is_of_request(inferlog_recorded: Recorded) -> None:
    contexts: list[contextvars.Context] = []

    def handler() -> None:
        track({"output_tokens": 5}, lambda: contexts.append(contextvars.copy_context()))()
        contexts[0].run(inferlog.bind_inference, output_tokens=40)

    answer(handler)
    assert inferlog_recorded.event["gen_ai"]["usage"]["output_tokens"] == 40
    assert inferlog_recorded.log_lines == []


def test_call_that_outlives_request_writes_values_that_are_not_in_its_event(inferlog_recorded: Recorded) -> None:
    contexts: list[contextvars.Context] = []

    def ask() -> Iterator[None]:
        with inferlog.track_performance("ask", input_tokens=3, model_version="v1"):
            inferlog.bind_inference(output_tokens=40, tenant="acme", request_id="r-1")
            yield
            inferlog.bind_inference(cost_usd=0.5)

    def handler() -> None:
        contexts.append(contextvars.copy_context())
        contexts[0].run(next, steps)

    steps = ask()
    answer(handler)
    contexts[0].run(next, steps, None)
    request, late = inferlog_recorded.events
    assert (request["gen_ai"], request["labels"]) == ({"usage": {"output_tokens": 40}}, {"tenant": "acme"})
    assert (late["gen_ai"]["usage"], late["cost_usd"], late["model_version"]) == ({"input_tokens": 3}, 0.5, "v1")
    assert request["request_id"] == "r-1" != late["request_id"]
    assert inferlog_recorded.log_lines == []


def test_value_stated_by_abandoned_stream_is_reported(inferlog_recorded: Recorded) -> None:
    @inferlog.track_performance(input_tokens=3)
    def ask() -> Iterator[str]:
        try:
            inferlog.bind_inference(output_tokens=1)
            yield "a"
        finally:
            inferlog.bind_inference(output_tokens=40, model_version="v1", tenant="acme")

    items = ask()
    answer(lambda: next(items))
    items.close()  # type: ignore[attr-defined]
    assert inferlog_recorded.event["gen_ai"]["usage"] == {"output_tokens": 1}
    late = [line["labels"]["about"] for line in inferlog_recorded.log_lines]
    assert late == ["input_tokens", "output_tokens", "model_version", "labels"]


def test_value_rejected_in_call_is_logged_once(inferlog_recorded: Recorded) -> None:
    answer(track({"input_tokens": -3, "cost_usd": lambda _: "much"}, bind(output_tokens=-1)))
    (line,) = inferlog_recorded.log_lines
    names = re.findall(r"(\w+): [^:]* is not a valid", line["labels"]["reasons"])
    assert names == ["input_tokens", "output_tokens", "cost_usd"]


@pytest.mark.parametrize("run", PLACES[:4])
def test_labels_of_call_have_limit_of_event(inferlog_recorded: Recorded, run: Any) -> None:
    run(track({}, lambda: [inferlog.bind_inference(**{f"label_{number}": 1}) for number in range(100)]))  # type: ignore[arg-type, func-returns-value]
    assert len(inferlog_recorded.event["labels"]) == 64
    assert inferlog_recorded.log_lines[0]["labels"]["reasons"].count("label_64: the event already has 64 labels") == 1


def test_route_bound_before_exception_in_flask_is_kept(inferlog_recorded: Recorded) -> None:
    def fail() -> None:
        inferlog.bind_inference(http_route="/stated")
        raise ValueError("boom")

    run_in_flask(fail)
    assert inferlog_recorded.event["http"]["route"] == "/stated"


def test_call_that_ends_after_its_request_does_not_repeat_tokens_of_calls_inside_it(
    inferlog_recorded: Recorded,
) -> None:
    request = Inference({"request_id": "request", "correlation_id": "chain"})
    token = current_inference.set(request)

    @inferlog.track_performance(output_tokens=lambda _: 10)
    def ask() -> None:
        track({"output_tokens": 1}, bind())()
        request.end()

    ask()
    current_inference.reset(token)
    assert request.fields["output_tokens"] == 1
    assert inferlog_recorded.event["gen_ai"]["usage"] == {"output_tokens": 10}


class WatchedLock:
    holders = 0

    def __enter__(self) -> None:
        self.holders += 1

    def __exit__(self, *_: object) -> None:
        self.holders -= 1


@pytest.mark.parametrize(
    ("known", "stated", "name"),
    [
        ({}, {"latency_seconds": 2.0}, "model_latency_seconds"),
        ({"model_latency_seconds": 2.0}, {}, "model_latency_seconds"),
        ({"output_tokens": 2}, {}, "output_tokens"),
        ({"output_tokens": lambda _: 2}, {}, "output_tokens"),
    ],
)
def test_values_that_call_adds_are_in_the_event_of_a_request_that_begins_to_end_meanwhile(
    monkeypatch: pytest.MonkeyPatch, known: dict[str, Any], stated: dict[str, Any], name: str
) -> None:
    request = Inference({"request_id": "request", "correlation_id": "chain"})
    lock, is_stated = WatchedLock(), Call._is_stated
    monkeypatch.setattr(context, "values_lock", lock)

    def begin_to_end(self: Call, field: str) -> bool:
        if lock.holders:
            request.ended = True  # as in another thread, which then waits for the lock before it writes the event
        return is_stated(self, field)

    @inferlog.track_performance("ask", **known)
    def ask() -> None:
        inferlog.bind_inference(**stated)
        monkeypatch.setattr(Call, "_is_stated", begin_to_end)

    token = current_inference.set(request)
    ask()
    current_inference.reset(token)
    assert request.fields[name] == 2
