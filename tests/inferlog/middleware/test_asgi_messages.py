"""The ASGI middleware, message by message: permitted behaviour of servers and applications, passed on unchanged."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

import inferlog
from tests.support.logfiles import Logs

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"x-other", b"stays")]}
BODY: Message = {"type": "http.response.body", "body": b"answer"}
PART: Message = {**BODY, "more_body": True}
DISCONNECT: Message = {"type": "http.disconnect"}


class Client:
    """One client: the messages it sends, and those it has received."""

    def __init__(
        self, *messages: Message, send_error: BaseException | None = None, accepted_parts: int = 0, **scope: Any
    ) -> None:
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/predict",
            "query_string": b"",
            "headers": [],
            **scope,
        }
        self._messages = list(messages)
        self._send_error = send_error
        self._accepted_parts = accepted_parts
        self.had: list[Message] = []

    async def receive(self) -> Message:
        return self._messages.pop(0) if self._messages else await asyncio.Future[Message]()

    async def send(self, message: Message) -> None:
        self.had.append(message)
        if self._send_error is not None and message["type"] == "http.response.body":
            if not self._accepted_parts:
                raise self._send_error
            self._accepted_parts -= 1

    def ask(self, app: App, **options: Any) -> "Client":
        asyncio.run(inferlog.InferenceMiddleware(app, **options)(self.scope, self.receive, self.send))
        return self

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return list(self.had[0]["headers"])


def build_app(*messages: Message) -> App:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def read_outcome(logs: Logs) -> tuple[str, int | None, str | None]:
    """Return status, code and error type of the only event."""
    (event,) = logs.events
    return (
        event["status"],
        event["http"].get("response", {}).get("status_code"),
        event.get("error", {}).get("type"),
    )


@pytest.mark.parametrize(
    "ends",
    [
        [BODY],
        [PART, BODY],
        [PART, {"type": "http.response.body"}],
        [{"type": "http.response.pathsend", "path": "/a/file"}],
        [{"type": "http.response.zerocopysend", "file": 3}],
        [{"type": "http.response.debug", "info": {}}, BODY],
    ],
)
def test_response_is_complete_with_its_last_message(logs: Logs, ends: list[Message]) -> None:
    events_before_the_end = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await build_app(START, *ends)(scope, receive, send)
        events_before_the_end.append(len(logs.events))

    assert Client().ask(app).had[1:] == ends
    assert events_before_the_end == [1]
    assert read_outcome(logs) == ("success", 200, None)


def test_application_that_never_answers_is_error(logs: Logs) -> None:
    Client().ask(build_app())
    assert read_outcome(logs) == ("error", None, "no_response")


def test_application_that_stops_in_mid_stream_is_error(logs: Logs) -> None:
    Client().ask(build_app(START, PART))
    assert read_outcome(logs) == ("error", 200, "incomplete_response")


@pytest.mark.parametrize("status", [999, "200", None])
def test_invalid_status_is_passed_to_server(logs: Logs, status: Any) -> None:
    assert Client().ask(build_app({**START, "status": status}, BODY)).had[0]["status"] == status
    assert read_outcome(logs)[:2] == ("error", None)


def test_ids_replace_those_of_application_without_changing_its_message(logs: Logs) -> None:
    start = {**START, "headers": [(b"x-request-id", b"its own"), (b"X-Correlation-ID", b"too"), (b"x-other", b"stays")]}
    headers = list(start["headers"])
    client = Client(headers=[(b"x-correlation-id", b"order-17")]).ask(build_app(start, BODY))
    assert client.headers == [
        (b"x-other", b"stays"),
        (b"x-request-id", logs.event["request_id"].encode()),
        (b"x-correlation-id", b"order-17"),
    ]
    assert start["headers"] == headers


def test_request_is_cancelled_when_client_disconnects_before_response(logs: Logs) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == DISCONNECT
        await build_app(START, BODY)(scope, receive, send)

    Client(DISCONNECT).ask(app)
    assert read_outcome(logs) == ("cancelled", 200, None)


def test_disconnect_after_response_is_ignored(logs: Logs) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def listen() -> None:
            assert await receive() == DISCONNECT

        async with asyncio.TaskGroup() as group:
            await send(START)
            # The server hands the disconnect out while it takes the last message.
            group.create_task(send(BODY))
            group.create_task(listen())

    class Slow(Client):
        async def send(self, message: Message) -> None:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await super().send(message)

    Slow(DISCONNECT).ask(app)
    assert read_outcome(logs) == ("success", 200, None)


@pytest.mark.parametrize("message", [BODY, PART])
def test_failed_send_is_client_disconnect(logs: Logs, message: Message) -> None:
    with pytest.raises(BrokenPipeError):
        Client(send_error=BrokenPipeError()).ask(build_app(START, message))
    assert read_outcome(logs) == ("cancelled", 200, None)


def test_unexpected_server_exception_is_error(logs: Logs) -> None:
    with pytest.raises(RuntimeError):
        Client(send_error=RuntimeError("response is complete already")).ask(build_app(START, BODY))
    assert read_outcome(logs) == ("error", 200, "RuntimeError")


def test_deadline_of_middleware_in_between_that_answers_names_its_cause(logs: Logs) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Future()
        except TimeoutError:
            await build_app({**START, "status": 504}, BODY)(scope, receive, send)

    Client().ask(app)
    assert read_outcome(logs) == ("error", 504, "TimeoutError")


def test_inner_cancel_scope_without_response_is_error(logs: Logs) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        with anyio.move_on_after(0.01):
            await asyncio.Future()

    Client().ask(app)
    assert read_outcome(logs) == ("error", None, "no_response")


def test_deadline_while_client_is_slow_is_service_s(logs: Logs) -> None:
    class Stuck(Client):
        async def send(self, message: Message) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with asyncio.timeout(0.01):
            await build_app(START, PART)(scope, receive, send)

    with pytest.raises(TimeoutError):
        Stuck().ask(app)
    assert read_outcome(logs) == ("error", 200, "TimeoutError")


@pytest.mark.parametrize("backend", ["asyncio.timeout", "anyio.fail_after", "task.cancel"])
def test_deadline_around_application_is_cancellation(logs: Logs, backend: str) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.Future()

    client = Client()
    middleware = inferlog.InferenceMiddleware(app)

    async def ask() -> None:
        answer = middleware(client.scope, client.receive, client.send)
        if backend == "asyncio.timeout":
            async with asyncio.timeout(0.01):
                await answer
        elif backend == "anyio.fail_after":
            with anyio.fail_after(0.01):
                await answer
        else:
            task = asyncio.ensure_future(answer)
            await asyncio.sleep(0)
            task.cancel()
            await task

    with pytest.raises((TimeoutError, asyncio.CancelledError)):
        asyncio.run(ask())
    assert read_outcome(logs) == ("cancelled", None, None)


def test_outermost_middleware_records_response_of_catch_all_handler(logs: Logs) -> None:
    async def crash(_: Request) -> Response:
        raise RuntimeError("boom")

    async def sorry(_: Request, __: Exception) -> Response:
        return PlainTextResponse("sorry", status_code=503)

    client = Client()
    with pytest.raises(RuntimeError, match="boom"):  # Starlette raises it again, for the server to log
        client.ask(Starlette(routes=[Route("/predict", crash)], exception_handlers={Exception: sorry}))
    assert read_outcome(logs) == ("error", 503, "RuntimeError")
    assert logs.event["error"]["message"] == "boom"
    assert (b"x-request-id", logs.event["request_id"].encode()) in client.headers


def test_exception_group_of_one_task_is_reported_as_its_exception(logs: Logs) -> None:
    async def fail() -> None:
        raise LookupError("no such model")

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    with pytest.raises(ExceptionGroup):
        Client().ask(app)
    assert read_outcome(logs) == ("error", 500, "LookupError")
    assert logs.event["error"]["message"] == "no such model"
    assert "ExceptionGroup" in logs.event["error"]["stack_trace"]


def test_http_exception_is_reported_by_its_code(logs: Logs) -> None:
    async def unavailable(_: Request) -> Response:
        raise HTTPException(503, "later")

    Client().ask(Starlette(routes=[Route("/predict", unavailable)]))
    assert read_outcome(logs) == ("error", 503, "503")


def test_inner_middleware_of_service_changes_nothing(logs: Logs) -> None:
    async def dispatch(request: Request, call_next: Any) -> Response:
        inferlog.bind_inference(input_tokens=len(await request.body()))
        response: Response = await call_next(request)
        return response

    async def predict(request: Request) -> Response:
        inferlog.bind_inference(model_version="v1")
        return PlainTextResponse(await request.body() * 1000)

    app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    app.add_middleware(GZipMiddleware)
    client = Client(
        {"type": "http.request", "body": b"abc"}, method="POST", headers=[(b"accept-encoding", b"gzip")]
    ).ask(app)
    assert (b"content-encoding", b"gzip") in client.headers
    assert read_outcome(logs) == ("success", 200, None)
    assert logs.event["model_version"] == "v1"
    assert logs.event["gen_ai"]["usage"] == {"input_tokens": 3}


def test_file_is_one_event(logs: Logs) -> None:
    async def download(_: Request) -> Response:
        return FileResponse(__file__)

    Client().ask(Starlette(routes=[Route("/predict", download)]))
    assert read_outcome(logs) == ("success", 200, None)


@pytest.mark.parametrize(
    ("model_version", "expected"),
    [
        ("v3", "v3"),
        (lambda scope, _: scope["path_params"]["version"], "v5"),
        (lambda _, headers: headers["x-model"], "v4"),
        (lambda *_: None, None),
        (lambda _, headers: headers["absent"], None),
        (lambda *_: 7, None),
    ],
)
def test_model_version_is_constant_or_found_in_request_and_response(
    logs: Logs, model_version: Any, expected: str | None
) -> None:
    async def predict(_: Request) -> Response:
        return PlainTextResponse("", headers={"X-Model": "v4"})

    app = Starlette(routes=[Route("/{version}/predict", predict)])
    Client(path="/v5/predict").ask(app, model_version=model_version)
    assert read_outcome(logs) == ("success", 200, None)
    assert logs.event.get("model_version") == expected


@pytest.mark.parametrize("model_version", ["v3", lambda *_: "v3"])
def test_model_version_that_handler_states_wins(logs: Logs, model_version: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        inferlog.bind_inference(model_version="v4")
        await build_app(START, BODY)(scope, receive, send)

    Client().ask(app, model_version=model_version)
    assert logs.event["model_version"] == "v4"


def test_model_version_that_cannot_be_found_is_named_in_log(logs: Logs) -> None:
    Client().ask(build_app(START, BODY), model_version=lambda *_: 1 // 0)
    (line,) = logs.read_lines("app")
    assert line["labels"]["reasons"] == "model_version: ZeroDivisionError: integer division or modulo by zero"


@pytest.mark.parametrize("model_version", ["", 7])
def test_invalid_model_version_is_rejected_at_start(logs: Logs, model_version: Any) -> None:
    with pytest.raises(inferlog.InvalidFieldError, match="model_version"):
        inferlog.InferenceMiddleware(build_app(), model_version=model_version)


@pytest.mark.parametrize("scope", [{"path": "/healthz"}, {"path": "/deployed/healthz", "root_path": "/deployed"}])
def test_excluded_path_is_relative_to_application(logs: Logs, scope: dict[str, Any]) -> None:
    assert Client(**scope).ask(build_app(START, BODY)).headers == START["headers"]
    assert logs.events == []


def test_outermost_of_nested_middlewares_owns_event(logs: Logs) -> None:
    inner = Starlette(routes=[Mount("/", app=inferlog.InferenceMiddleware(build_app(START, BODY)))])
    client = Client().ask(inner)
    assert [name for name, _ in client.headers].count(b"x-request-id") == 1
    assert read_outcome(logs) == ("success", 200, None)


@pytest.mark.parametrize("error", [OSError("disk is gone"), RuntimeError("odd")])
def test_failure_to_log_changes_neither_response_nor_exception(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await build_app(START, PART)(scope, receive, send)
        raise ValueError("the service's own")

    def record(*_: object) -> None:
        raise error

    monkeypatch.setattr("inferlog.runtime.Runtime.record", record)
    assert Client().ask(build_app(START, BODY)).had[1] == BODY
    with pytest.raises(ValueError, match="the service's own"):
        Client().ask(broken)
    (line, _) = logs.read_lines("app")
    assert line["message"] == "inferlog.failed: the event of a request"
    assert line["error"]["message"] == str(error)


def answer_broken_stream(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        raise ValueError("broke in the middle")

    return StreamingResponse(parts())


async def pass_on(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    return response


@pytest.mark.parametrize(
    ("outermost_last", "status"),
    [
        # Starlette's BaseHTTPMiddleware ends the response as if it were whole, and only then hands the error on.
        ([BaseHTTPMiddleware, inferlog.InferenceMiddleware], "success"),
        ([inferlog.InferenceMiddleware, BaseHTTPMiddleware], "error"),
    ],
)
def test_middleware_inside_base_http_middleware_detects_broken_stream(
    logs: Logs, outermost_last: list[Any], status: str
) -> None:
    app = Starlette(routes=[Route("/predict", answer_broken_stream)])
    for middleware in outermost_last:
        app.add_middleware(middleware, **({"dispatch": pass_on} if middleware is BaseHTTPMiddleware else {}))
    client = Client()
    with pytest.raises(ValueError, match="broke in the middle"):
        asyncio.run(app(client.scope, client.receive, client.send))
    assert [event["status"] for event in logs.events] == [status]


EVENT_STREAM: Message = {**START, "headers": [(b"Content-Type", b"text/event-stream; charset=utf-8")]}


def build_event_stream(*parts: bytes) -> list[Message]:
    return [EVENT_STREAM, *({"type": "http.response.body", "body": part, "more_body": True} for part in parts)]


def build_cancelled_app(*messages: Message, **stated: Any) -> App:
    """Return an application that the server cancels after *messages*, because its client has disconnected."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await build_app(*messages)(scope, receive, send)
        inferlog.bind_inference(**stated)
        assert await receive() == DISCONNECT
        raise asyncio.CancelledError

    return app


def ask_and_leave(app: App) -> None:
    with pytest.raises(asyncio.CancelledError):
        Client(DISCONNECT).ask(app)


@pytest.mark.parametrize(
    "parts",
    [
        [b"data: 1\n\ndata: [DONE]\n\n"],
        [b"data: 1\n\n", b"data: [DONE]\n\n"],
        [b"data: [DONE]"],
        [b"data:[DONE]\r\n\r\n"],
        [b"data: 1\n\ndata: [DO", b"NE]", b"\n", b"\n"],
        [b"data: 1\n", b"\n", *(b"data: [DONE]\n\n"[n : n + 1] for n in range(14))],
        [b"data: [DONE]\n\n", b": bye\n\n"],
    ],
)
def test_stream_is_success_when_client_disconnects_after_done(logs: Logs, parts: list[bytes]) -> None:
    ask_and_leave(build_cancelled_app(*build_event_stream(*parts), output_tokens=5))
    assert read_outcome(logs) == ("success", 200, None)
    assert logs.event["gen_ai"]["usage"] == {"output_tokens": 5}


@pytest.mark.parametrize(
    "messages",
    [
        build_event_stream(b"data: 1\n\n"),
        build_event_stream(b'data: {"text": "data: [DONE]"}\n\n'),
        build_event_stream(b"data: read data: [DONE]\n\n"),
        build_event_stream(b"data: [DONE]\n\ndata: 1\n\n"),
        build_event_stream(),
        [START, {**PART, "body": b"data: [DONE]\n\n"}],
    ],
)
def test_stream_is_cancelled_when_client_disconnects_before_done(logs: Logs, messages: list[Message]) -> None:
    ask_and_leave(build_cancelled_app(*messages))
    assert read_outcome(logs) == ("cancelled", 200, None)


def test_unsent_done_is_cancelled(logs: Logs) -> None:
    with pytest.raises(BrokenPipeError):
        Client(send_error=BrokenPipeError()).ask(build_app(*build_event_stream(b"data: [DONE]\n\n")))
    assert read_outcome(logs) == ("cancelled", 200, None)


def test_stream_stopping_after_done_is_success(logs: Logs) -> None:
    Client().ask(build_app(*build_event_stream(b"data: [DONE]\n\n")))
    assert read_outcome(logs) == ("success", 200, None)


@pytest.mark.parametrize("messages", [[], [DISCONNECT]])
def test_exception_of_handler_after_its_done_is_error(logs: Logs, messages: list[Message]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await build_app(*build_event_stream(b"data: [DONE]\n\n"))(scope, receive, send)
        if messages:
            await receive()
        raise ValueError("the usage is not stored")

    with pytest.raises(ValueError, match="not stored"):
        Client(*messages).ask(app)
    assert read_outcome(logs) == ("error", 200, "ValueError")


def test_error_reported_by_stream_before_done_is_error_for_every_client(logs: Logs) -> None:
    ask_and_leave(build_cancelled_app(*build_event_stream(b"data: [DONE]\n\n"), error_type="model_failed"))
    assert read_outcome(logs) == ("error", 200, "model_failed")


@pytest.mark.parametrize("status", ["success", "rejected", "error", "cancelled"])
def test_bound_status_wins_when_client_disconnects(logs: Logs, status: str) -> None:
    ask_and_leave(build_cancelled_app(START, PART, status=status))
    assert read_outcome(logs)[:2] == (status, 200)


def test_status_that_handler_states_before_it_raises_is_error(logs: Logs) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await build_app(START, PART)(scope, receive, send)
        inferlog.bind_inference(status="success")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 (any)
        Client().ask(app)
    assert read_outcome(logs) == ("error", 200, "ValueError")


def test_request_is_cancelled_when_client_disconnects_before_response_with_bound_status(logs: Logs) -> None:
    ask_and_leave(build_cancelled_app(status="success"))
    assert read_outcome(logs) == ("cancelled", None, None)


def test_invalid_part_of_event_stream_is_passed_to_server(logs: Logs) -> None:
    message = {"type": "http.response.body", "body": "text", "more_body": True}
    assert Client().ask(build_app(EVENT_STREAM, message, BODY)).had[1] == message
    assert read_outcome(logs) == ("success", 200, None)


def test_connection_of_handler_that_breaks_after_its_done_is_error(logs: Logs) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await build_app(*build_event_stream(b"data: [DONE]\n\n"))(scope, receive, send)
        raise ConnectionResetError("to the database")

    with pytest.raises(ConnectionResetError):
        Client().ask(app)
    assert read_outcome(logs) == ("error", 200, "ConnectionResetError")


class TransportError(OSError):
    """A server's own subclass, which the ASGI specification permits for a failed send."""


failing_send = pytest.mark.parametrize(
    "send_error", [OSError("gone"), TransportError("gone"), ConnectionResetError(), TimeoutError()], ids=repr
)


def build_ending_app(*parts: bytes, send_last: Callable[[Any], Awaitable[None]], **stated: Any) -> App:
    """Return an application that sends *parts* of an event stream, states values, and sends more with *send_last*."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await build_app(*build_event_stream(*parts))(scope, receive, send)
        inferlog.bind_inference(**stated)
        await send_last(send)

    return app


async def send_plainly(send: Any) -> None:
    await send(PART)


async def send_in_task_group(send: Any) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(send(PART))


async def send_and_raise_own_error(send: Any) -> None:
    try:
        await send(PART)
    except OSError as error:
        raise RuntimeError("the stream was aborted") from error


async def send_and_clean_up(send: Any) -> None:
    try:
        await send(PART)
    finally:
        await send(PART)


@failing_send
@pytest.mark.parametrize("send_last", [send_plainly, send_in_task_group, send_and_raise_own_error, send_and_clean_up])
@pytest.mark.parametrize(
    ("part", "stated", "status"),
    [
        (b"data: [DONE]\n\n", {}, "success"),
        (b"data: 1\n\n", {"status": "success"}, "success"),
        (b"data: 1\n\n", {"status": "rejected"}, "rejected"),
        (b"data: 1\n\n", {}, "cancelled"),
    ],
)
def test_failed_send_after_complete_answer_changes_nothing(
    logs: Logs, send_error: OSError, send_last: Any, part: bytes, stated: dict[str, Any], status: str
) -> None:
    client = Client(send_error=send_error, accepted_parts=1)
    with pytest.raises((OSError, ExceptionGroup, RuntimeError)):
        client.ask(build_ending_app(part, send_last=send_last, **stated))
    assert read_outcome(logs)[:2] == (status, 200)


async def fail_to_store(_: Any) -> None:
    raise PermissionError("the usage is not stored")


async def send_and_fail_to_store(send: Any) -> None:
    try:
        await send(PART)
    except OSError:
        await fail_to_store(send)


@pytest.mark.parametrize("send_last", [fail_to_store, send_and_fail_to_store])
def test_operating_system_error_of_handler_after_its_done_is_error(logs: Logs, send_last: Any) -> None:
    client = Client(send_error=OSError("gone"), accepted_parts=1)
    with pytest.raises(PermissionError):
        client.ask(build_ending_app(b"data: [DONE]\n\n", send_last=send_last))
    assert read_outcome(logs) == ("error", 200, "PermissionError")


# Since ASGI 2.4, Starlette raises ClientDisconnect for each OSError in a stream.
NEWER: Any = {"asgi": {"spec_version": "2.4"}}


@failing_send
@pytest.mark.parametrize(("part", "status"), [(b"data: [DONE]\n\n", "success"), (b"data: 1\n\n", "cancelled")])
def test_failed_send_of_starlette_stream_is_disconnect(
    logs: Logs, send_error: OSError, part: bytes, status: str
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield part
        yield b": bye\n\n"

    client = Client(send_error=send_error, accepted_parts=1, **NEWER)
    with pytest.raises(ClientDisconnect):
        client.ask(StreamingResponse(parts(), media_type="text/event-stream"))
    assert read_outcome(logs) == (status, 200, None)


def test_operating_system_error_of_starlette_stream_is_error(logs: Logs) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"data: [DONE]\n\n"
        raise FileNotFoundError("the usage is not stored")

    with pytest.raises(ClientDisconnect):
        Client(**NEWER).ask(StreamingResponse(parts(), media_type="text/event-stream"))
    assert read_outcome(logs) == ("error", 200, "FileNotFoundError")


@pytest.mark.parametrize("step", ["inferlog.vitals.Activity.end", "inferlog.request.to_microunits"])
def test_request_whose_end_a_signal_handler_interrupts_is_counted(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def interrupt(*_: object) -> None:
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(step, interrupt)
        assert Client().ask(build_app(START, BODY)).had[-1] == BODY
    stats = inferlog.stats()
    assert (stats.events_written, stats.events_dropped, logs.events) == (0, 1, [])
