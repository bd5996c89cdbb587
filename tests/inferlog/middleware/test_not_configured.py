"""A middleware without a configuration: its requests are answered, and their events go to stderr."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import StringIO
from typing import Any

import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import inferlog
from inferlog.testing import recording
from tests.support.polling import wait_until
from tests.support.serving import serve_app, serve_wsgi


def serve_on_asgi() -> AbstractContextManager[str]:
    def answer(_: Request) -> Response:
        inferlog.bind_inference(model_version="v1")
        return PlainTextResponse("answer")

    return serve_app(inferlog.InferenceMiddleware(Starlette(routes=[Route("/predict", answer)])))


def serve_on_wsgi() -> AbstractContextManager[str]:
    def app(_: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        inferlog.bind_inference(model_version="v1")
        start_response("200 OK", [])
        return [b"answer"]

    return serve_wsgi(inferlog.InferenceWSGIMiddleware(app))


@pytest.mark.parametrize("serve", [serve_on_asgi, serve_on_wsgi])
def test_requests_are_answered_with_events_on_stderr(
    serve: Callable[[], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stderr = StringIO()

    def read_lines() -> list[str]:
        stderr.write(capsys.readouterr().err)
        return stderr.getvalue().splitlines()

    monkeypatch.setattr("inferlog.configuration._runtime", None)
    with recording() as before:
        served = serve()
    with served as url:
        assert [httpx.get(f"{url}/predict").text for _ in range(2)] == ["answer", "answer"]
        wait_until(lambda: len(read_lines()) == 3, what="the warning and both events, which follow the answers")
        with recording() as after:
            answered = httpx.get(f"{url}/predict")
            wait_until(lambda: after.events, what="the event, which follows the answer")
            assert answered.headers["x-request-id"] == after.event["request_id"]
    assert before.events == []
    warning, *events = (json.loads(line) for line in read_lines())
    assert "inferlog is not configured" in warning["message"]
    assert [event["model_version"] for event in events] == ["v1", "v1"]
