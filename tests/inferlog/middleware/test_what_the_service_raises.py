"""Misbehaving callbacks and exceptions of the service: the event is written, and the response is unchanged."""

import asyncio
import functools
import hashlib
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

import inferlog
from inferlog.testing import recording
from tests.support.logfiles import Logs

Ask = Callable[..., list[bytes]]
OWN_ENDINGS = (SystemExit(3), asyncio.CancelledError("its own"), GeneratorExit(), LookupError("no such key"))


class UnreadableError(Exception):
    """Exception without a text form, attributes or ``__dict__``."""

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("nothing to see")

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("frozen")

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Unencodable(str):
    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        raise LookupError("no encoding")


def ask_asgi(error: BaseException | None = None, **options: Any) -> list[bytes]:
    had: list[bytes] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        if error is not None:
            raise error
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answer"})

    async def send(message: Any) -> None:
        had.append(message.get("body", b""))

    async def receive() -> Any:
        return await asyncio.Future[Any]()

    scope = {"type": "http", "method": "GET", "path": "/predict", "headers": []}
    asyncio.run(inferlog.InferenceMiddleware(app, **options)(scope, receive, send))
    return had[1:]


def ask_wsgi(error: BaseException | None = None, **options: Any) -> list[bytes]:
    def app(_: Any, start_response: Any) -> list[bytes]:
        if error is not None:
            raise error
        start_response("200 OK", [])
        return [b"answer"]

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/predict"}
    return list(inferlog.InferenceWSGIMiddleware(app, **options)(environ, lambda *_: lambda _: None))


@pytest.fixture(params=[ask_asgi, ask_wsgi], ids=["asgi", "wsgi"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Return functions that send a request through each middleware."""
    asked: Ask = request.param
    return asked


def make_raising(error: BaseException) -> Callable[..., str]:
    def find(*_: Any) -> str:
        raise error

    return find


@pytest.mark.parametrize("argument", ["client_id", "model_version"])
@pytest.mark.parametrize("error", [*OWN_ENDINGS, UnreadableError()], ids=lambda error: type(error).__name__)
def test_exception_of_callback_loses_only_its_value(logs: Logs, ask: Ask, argument: str, error: BaseException) -> None:
    assert ask(**{argument: make_raising(error)}) == [b"answer"]
    assert logs.event["status"] == "success"
    (line,) = logs.read_lines("app")
    assert line["message"] == "inferlog.value_refused"
    assert line["labels"]["reasons"].startswith(f"{argument}: ")
    assert type(error).__name__ in line["labels"]["reasons"]


@pytest.mark.parametrize("argument", ["client_id", "model_version"])
def test_keyboard_interrupt_propagates_after_event_is_written(logs: Logs, ask: Ask, argument: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        ask(**{argument: make_raising(KeyboardInterrupt())})
    assert logs.event["status"] == "success"


def test_cancellation_propagates_after_event_is_written(logs: Logs, ask: Ask) -> None:
    with pytest.raises(asyncio.CancelledError):
        ask(asyncio.CancelledError(), client_id=make_raising(SystemExit(3)))
    assert logs.event["status"] == "cancelled"


def test_text_with_failing_encode_method_is_encoded(ask: Ask) -> None:
    hashed = hashlib.blake2b("Käthe".encode(), digest_size=16).hexdigest()
    for plain in (False, True):
        with recording(client_id_plain=plain) as recorded:
            ask(client_id=lambda _: Unencodable("Käthe"), model_version=lambda *_: Unencodable("v3"))
        assert recorded.event["client"]["id"] == ("Käthe" if plain else hashed)
        assert recorded.event["model_version"] == "v3"


def test_opaque_exception_is_in_event_and_passes_unchanged(logs: Logs, ask: Ask) -> None:
    error = UnreadableError()
    try:
        ask(error)
    except UnreadableError:
        assert sys.exc_info()[1] is error
        logging.getLogger("server").exception("failed")
    assert logs.event["status"] == "error"
    assert logs.event["error"]["type"].endswith("UnreadableError")
    (line,) = logs.read_lines("app")
    assert line["request_id"] == logs.event["request_id"]


async def find_later(*_: Any) -> str:
    return "v3"


class FindsLater:
    async def __call__(self, *_: Any) -> str:
        return "v3"


@pytest.mark.parametrize("argument", ["client_id", "model_version"])
@pytest.mark.parametrize("given", [find_later, functools.partial(find_later, 1), FindsLater()])
def test_async_callable_is_rejected_at_start(logs: Logs, argument: str, given: Any) -> None:
    for middleware in (inferlog.InferenceMiddleware, inferlog.InferenceWSGIMiddleware):
        with pytest.raises(TypeError, match=f"{argument} is an async function; expected a synchronous one"):
            middleware(None, **{argument: given})  # type: ignore[arg-type]
