"""Values bound too late, and warnings that are logged once."""

from collections.abc import Iterator
from typing import Annotated, Any

import flask
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.testclient import TestClient

import inferlog
from inferlog.context import warn_once
from inferlog.testing import Recorded, recording


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with recording() as recorded:
        yield recorded


def list_reported(recorded: Recorded) -> list[str]:
    """Return the fields of the warnings about late values."""
    return [line["labels"]["about"] for line in recorded.log_lines if "bound too late" in line["message"]]


@pytest.fixture
def client(recorded: Recorded) -> TestClient:
    app = FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)

    def count(**values: Any) -> None:
        inferlog.bind_inference(**values)

    def usage() -> Iterator[None]:
        yield
        inferlog.bind_inference(output_tokens=41)

    @app.get("/background")
    def background(tasks: BackgroundTasks) -> None:
        tasks.add_task(count, output_tokens=40, tenant="acme", other=1, input_tokens=None, error=ValueError("late"))

    @app.get("/dependency")
    def dependency(_: Annotated[None, Depends(usage)]) -> None:
        pass

    @app.get("/tracked")
    def tracked(tasks: BackgroundTasks) -> None:
        tasks.add_task(inferlog.track_performance(output_tokens=3)(lambda: inferlog.bind_inference(input_tokens=2)))

    return TestClient(app)


def test_value_bound_in_background_task_is_reported(client: TestClient, recorded: Recorded) -> None:
    client.get("/background")
    assert "gen_ai" not in recorded.event
    assert list_reported(recorded) == ["output_tokens", "labels", "error"]
    line = next(line for line in recorded.log_lines if line["log"]["logger"] == "inferlog")
    assert line["log"]["level"] == "warning"
    assert "record_inference()" in line["message"]
    assert line["request_id"] == recorded.event["request_id"]


def test_late_value_is_reported_once(client: TestClient, recorded: Recorded) -> None:
    client.get("/background")
    client.get("/background")
    assert list_reported(recorded) == ["output_tokens", "labels", "error"]


def test_value_bound_at_dependency_exit_is_in_event_or_reported(client: TestClient, recorded: Recorded) -> None:
    client.get("/dependency")
    assert ("gen_ai" in recorded.event) != (list_reported(recorded) == ["output_tokens"])


def test_tracked_call_in_background_task_has_its_values(client: TestClient, recorded: Recorded) -> None:
    client.get("/tracked")
    assert [event.get("gen_ai", {}).get("usage") for event in recorded.events] == [
        None,
        {"input_tokens": 2, "output_tokens": 3},
    ]
    assert list_reported(recorded) == []


def test_value_bound_when_flask_closes_response_is_reported(recorded: Recorded) -> None:
    app = flask.Flask("late")
    app.wsgi_app = inferlog.InferenceWSGIMiddleware(app.wsgi_app)  # type: ignore[method-assign]

    @app.get("/")
    def answer() -> flask.Response:
        response = flask.Response("x")
        response.call_on_close(lambda: inferlog.bind_inference(output_tokens=42))
        return response

    with app.test_client().get("/") as response:
        response.get_data()
    assert "gen_ai" not in recorded.event
    assert list_reported(recorded) == ["output_tokens"]


def test_value_set_after_block_is_reported(recorded: Recorded) -> None:
    with inferlog.track_performance("ask") as call:
        pass
    call.output_tokens = 3
    assert list_reported(recorded) == ["output_tokens"]


def test_value_set_after_nested_block_is_reported(recorded: Recorded) -> None:
    with inferlog.track_performance("outer"):
        with inferlog.track_performance("inner") as call:
            pass
        call.output_tokens = 3
    assert list_reported(recorded) == ["output_tokens"]


def test_value_that_middleware_callable_binds_is_in_event(recorded: Recorded) -> None:
    def version(_scope: Any, _headers: Any) -> str:
        inferlog.bind_inference(tenant="acme")
        return "v1"

    app = FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware, model_version=version)
    TestClient(app).get("/")
    assert recorded.event["labels"] == {"tenant": "acme"}
    assert list_reported(recorded) == []


def list_messages(lines: list[dict[str, object]]) -> list[object]:
    return [line["message"] for line in lines]


def test_warning_is_logged_once_per_subject() -> None:
    with recording() as recorded:
        for _ in range(3):
            warn_once("a value came too late", "output_tokens")
            warn_once("a value came too late", "input_tokens")
    assert list_messages(recorded.log_lines) == ["a value came too late"] * 2
    assert [line["labels"] for line in recorded.log_lines] == [{"about": "output_tokens"}, {"about": "input_tokens"}]


def test_warning_is_logged_again_after_new_configuration() -> None:
    for _ in range(2):
        with recording() as recorded:
            warn_once("a value came too late")
        assert list_messages(recorded.log_lines) == ["a value came too late"]
