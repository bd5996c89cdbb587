"""A middleware that outlives what was configured: its requests are answered, without events."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx2 as httpx
import pytest
from polling import wait_until
from serving import serving, serving_wsgi
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import inferlog
from inferlog.middleware import exchange
from inferlog.testing import recording


def on_asgi() -> AbstractContextManager[str]:
    def answer(_: Request) -> Response:
        inferlog.bind_inference(model_version="v1")
        return PlainTextResponse("answer")

    return serving(inferlog.InferenceMiddleware(Starlette(routes=[Route("/predict", answer)])))


def on_wsgi() -> AbstractContextManager[str]:
    def app(_: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        inferlog.bind_inference(model_version="v1")
        start_response("200 OK", [])
        return [b"answer"]

    return serving_wsgi(inferlog.InferenceWSGIMiddleware(app))


@pytest.mark.parametrize("serve", [on_asgi, on_wsgi])
def test_requests_pass_through_and_the_log_says_so_once(
    serve: Callable[[], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("inferlog.configuration._runtime", None)
    exchange.say_once_that_nothing_is_written.cache_clear()
    with recording() as before:
        served = serve()
    with caplog.at_level(logging.WARNING, "inferlog"), served as url:
        assert [httpx.get(f"{url}/predict").text for _ in range(2)] == ["answer", "answer"]
        with recording() as after:
            answered = httpx.get(f"{url}/predict")
            wait_until(lambda: after.events, what="the event, which follows the answer")
            assert answered.headers["x-request-id"] == after.event["request_id"]
    assert before.events == []
    said = [record.getMessage() for record in caplog.records if record.name == "inferlog"]
    assert said == ["requests are answered without events: inferlog is not configured, or not any more"]
