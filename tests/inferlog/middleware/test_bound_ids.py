"""Ids bound by a handler are sent in headers: an invalid one changes no response and no call."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import fastapi
import flask
import httpx2 as httpx
import pytest

import inferlog
from tests.support.logfiles import Logs
from tests.support.serving import serve_app, serve_wsgi

UNUSABLE = ("order 17\r\nX-Forged: 1", "注文-17", "x" * 65, "")


def serve_on_fastapi(handler: Callable[[], Any]) -> AbstractContextManager[str]:
    app = fastapi.FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)
    app.add_api_route("/bound", handler)
    return serve_app(app)


def serve_on_flask(handler: Callable[[], Any]) -> AbstractContextManager[str]:
    app = flask.Flask(__name__)
    app.wsgi_app = inferlog.InferenceWSGIMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    app.get("/bound")(handler)
    return serve_wsgi(app)


@pytest.mark.parametrize("serve", [serve_on_fastapi, serve_on_flask])
@pytest.mark.parametrize("name", ["request_id", "correlation_id"])
@pytest.mark.parametrize("unusable", UNUSABLE)
def test_id_invalid_in_header_is_rejected(logs: Logs, serve: Any, name: str, unusable: str) -> None:
    def handler() -> dict[str, str]:
        inferlog.bind_inference(**{name: unusable})
        return inferlog.outgoing_headers()

    with serve(handler) as url:
        response = httpx.get(f"{url}/bound")
    event = logs.event
    assert response.json() == {"X-Correlation-ID": event["correlation_id"]}
    assert response.headers["X-Request-ID"] == event["request_id"]
    assert response.headers["X-Correlation-ID"] == event["correlation_id"]
    assert "X-Forged" not in response.headers
    (line,) = [line for line in logs.read_lines("app") if line["message"] == "inferlog.value_refused"]
    assert line["labels"]["reasons"].startswith(f"{name}: ")
    assert line["labels"]["reasons"].endswith("expected 1 to 64 of A-Z a-z 0-9 . _ -")


@pytest.mark.parametrize("serve", [serve_on_fastapi, serve_on_flask])
def test_valid_id_is_accepted(logs: Logs, serve: Any) -> None:
    def handler() -> dict[str, str]:
        inferlog.bind_inference(correlation_id="order-17")
        return inferlog.outgoing_headers()

    with serve(handler) as url:
        response = httpx.get(f"{url}/bound")
    assert response.json() == {"X-Correlation-ID": "order-17"}
    assert response.headers["X-Correlation-ID"] == logs.event["correlation_id"] == "order-17"


def stream_on_fastapi(parts: Callable[[], Iterator[bytes]]) -> AbstractContextManager[str]:
    return serve_on_fastapi(lambda: fastapi.responses.StreamingResponse(parts()))


def stream_on_flask(parts: Callable[[], Iterator[bytes]]) -> AbstractContextManager[str]:
    return serve_on_flask(lambda: flask.Response(parts()))


@pytest.mark.parametrize("serve", [stream_on_fastapi, stream_on_flask])
@pytest.mark.parametrize("name", ["request_id", "correlation_id"])
def test_id_bound_after_the_response_began_is_reported_and_leaves_its_headers_right(
    logs: Logs, serve: Any, name: str
) -> None:
    def give_parts() -> Iterator[bytes]:
        yield b"a"
        inferlog.bind_inference(**{name: "late-1"})
        yield b"b"

    with serve(give_parts) as url:
        response = httpx.get(f"{url}/bound")
    assert response.headers["X-Request-ID"] == logs.event["request_id"]
    assert response.headers["X-Correlation-ID"] == logs.event["correlation_id"]
    (line,) = [line for line in logs.read_lines("app") if line["message"].startswith("a stated ")]
    assert (line["labels"]["about"], line["labels"]["stated"]) == (name, "late-1")
