"""The ASGI middleware on a real server: exactly one event per request, however it ends."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fastapi
import httpx2 as httpx
import pytest
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

import inferlog
from tests.support.logfiles import Logs
from tests.support.serving import serve_app


class Question(BaseModel):
    text: str


def make_app() -> fastapi.FastAPI:  # noqa: C901 (one small route a way to end)
    app = fastapi.FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)
    router = fastapi.APIRouter(prefix="/v1")

    @router.post("/predict/{name}")
    async def predict(name: str, question: Question) -> dict[str, str]:
        inferlog.bind_inference(model_version="v1", input_tokens=len(question.text), output_tokens=2)
        inferlog.get_logger().info("in handler")
        return {"answer": name}

    @router.get("/threaded")
    def threaded() -> str:
        inferlog.bind_inference(model_version="v2")
        return "ok"

    @router.get("/crash")
    async def crash() -> None:
        raise RuntimeError("password=hunter22 is wrong")

    @router.get("/unavailable")
    async def unavailable() -> None:
        raise fastapi.HTTPException(503, "later")

    @router.get("/busy")
    async def busy() -> None:
        raise fastapi.HTTPException(429, "slow down")

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            await asyncio.sleep(0.05)
            inferlog.bind_inference(model_version="v1", output_tokens=2, time_to_first_token_seconds=0.01)
            yield b"b"

        return StreamingResponse(parts())

    @router.get("/broken-stream")
    async def broken_stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            raise ValueError("broke in the middle")

        return StreamingResponse(parts())

    @router.get("/endless-stream")
    async def endless_stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.001)

        return StreamingResponse(parts())

    @router.get("/said-error")
    async def said_error() -> str:
        inferlog.bind_inference(error=TimeoutError("model took too long"))
        return "partial"

    @app.get("/healthz")
    async def healthz() -> str:
        return "ok"

    app.include_router(router)
    nested = Starlette(
        routes=[Route("/items/{item}", lambda _: PlainTextResponse("ok"))],
        middleware=[Middleware(inferlog.InferenceMiddleware)],
    )
    app.mount("/nested", nested)
    return app


@pytest.fixture
def client(logs: Logs) -> Iterator[httpx.Client]:
    with serve_app(make_app()) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status", "code", "route", "error_type"),
    [
        ("/v1/threaded", "success", 200, "/v1/threaded", None),
        ("/v1/stream", "success", 200, "/v1/stream", None),
        ("/v1/predict/x", "rejected", 405, "/v1/predict/{name}", "405"),
        ("/no/such/path", "rejected", 404, None, "404"),
        ("/v1/crash", "error", 500, "/v1/crash", "RuntimeError"),
        ("/v1/unavailable", "error", 503, "/v1/unavailable", "503"),
        ("/v1/busy", "rejected", 429, "/v1/busy", "429"),
        ("/v1/said-error", "error", 200, "/v1/said-error", "TimeoutError"),
        ("/nested/items/5", "success", 200, "/nested/items/{item}", None),
    ],
)
def test_request_is_one_event(
    client: httpx.Client, logs: Logs, path: str, status: str, code: int, route: str | None, error_type: str | None
) -> None:
    response = client.get(path)
    assert response.status_code == code
    event = logs.event
    assert event["status"] == status
    assert event["http"]["response"] == {"status_code": code}
    assert event["http"]["request"] == {"method": "GET"}
    assert event["http"].get("route") == route
    assert event.get("error", {}).get("type") == error_type
    assert 0 < event["latency_seconds"] < 5
    assert event["request_id"] == response.headers.get("X-Request-ID", event["request_id"])


def test_handler_values_are_in_event_and_ids_in_log_lines(client: httpx.Client, logs: Logs) -> None:
    response = client.post("/v1/predict/x", json={"text": "abc"})
    assert response.json() == {"answer": "x"}
    assert logs.event["model_version"] == "v1"
    assert logs.event["gen_ai"]["usage"] == {"input_tokens": 3, "output_tokens": 2}
    (line,) = (line for line in logs.read_lines("app") if line["message"] == "in handler")
    assert line["request_id"] == logs.event["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"text": 5}', b"\xff\xfe"])
def test_body_that_does_not_validate_is_rejected(client: httpx.Client, logs: Logs, body: bytes) -> None:
    response = client.post("/v1/predict/x", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    assert logs.event["status"] == "rejected"


def test_exception_secrets_do_not_get_into_event(client: httpx.Client, logs: Logs) -> None:
    client.get("/v1/crash")
    assert "hunter22" not in str(logs.event)
    assert logs.event["error"]["message"] == "password=[REDACTED] is wrong"


def test_stream_is_timed_to_its_last_byte(client: httpx.Client, logs: Logs) -> None:
    assert client.get("/v1/stream").content == b"ab"
    assert logs.event["latency_seconds"] >= 0.05
    assert logs.event["gen_ai"]["usage"]["output_tokens"] == 2


def test_exception_in_mid_stream_is_error_with_code_that_was_sent(client: httpx.Client, logs: Logs) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/v1/broken-stream")
    assert logs.event["status"] == "error"
    assert logs.event["http"]["response"]["status_code"] == 200
    assert logs.event["error"]["type"] == "ValueError"


def test_stream_is_cancelled_when_client_disconnects(client: httpx.Client, logs: Logs) -> None:
    with client.stream("GET", "/v1/endless-stream") as response:
        next(response.iter_bytes())
    assert logs.event["status"] == "cancelled"
    assert logs.event["event"]["outcome"] == "unknown"
    assert "error" not in logs.event


def test_request_is_cancelled_when_client_disconnects_during_upload(client: httpx.Client, logs: Logs) -> None:
    address = urlsplit(str(client.base_url))
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            b"POST /v1/predict/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
    assert logs.event["status"] == "cancelled"


def test_background_task_is_not_part_of_request(logs: Logs) -> None:
    seen = threading.Event()

    def after() -> None:
        seen.wait()
        raise RuntimeError("in the background, not the request's")

    app = fastapi.FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)
    app.add_api_route("/ok", lambda: JSONResponse({}, background=BackgroundTask(after)))
    with serve_app(app) as url:
        try:
            httpx.get(f"{url}/ok")
            event = logs.event  # though the task has not ended
        finally:
            seen.set()
    assert logs.events == [event]
    assert event["status"] == "success"


def test_health_check_writes_no_event(client: httpx.Client, logs: Logs) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/openapi.json").status_code == 200
    assert logs.events == []


@pytest.mark.parametrize("header", ["X-Correlation-ID", "X-Request-ID"])
def test_caller_id_becomes_correlation_id_and_is_returned(client: httpx.Client, logs: Logs, header: str) -> None:
    response = client.get("/v1/threaded", headers={header: "order-17"})
    assert response.headers["X-Correlation-ID"] == logs.event["correlation_id"] == "order-17"
    assert response.headers["X-Request-ID"] == logs.event["request_id"] != "order-17"


@pytest.mark.parametrize("value", ["a" * 10_000, "a b", 'x"}', "é".encode(), ""])
def test_invalid_id_is_replaced_and_recorded_in_label(client: httpx.Client, logs: Logs, value: str | bytes) -> None:
    headers: Any = {"X-Correlation-ID": value, "traceparent": "00-nonsense"}
    response = client.get("/v1/threaded", headers=headers)
    assert logs.event["correlation_id"] == logs.event["request_id"] == response.headers["X-Correlation-ID"]
    assert logs.event["labels"]["refused_headers"] == "x-correlation-id,traceparent"


def test_traceparent_sets_trace_and_span(client: httpx.Client, logs: Logs) -> None:
    client.get("/v1/threaded", headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
    assert logs.event["trace"] == {"id": "4bf92f3577b34da6a3ce929d0e0e4736"}
    assert logs.event["span"] == {"id": "00f067aa0ba902b7"}


def test_unknown_method_is_written_as_one_value(client: httpx.Client, logs: Logs) -> None:
    client.request("BREW", "/v1/threaded")
    assert logs.event["http"]["request"]["method"] == "_OTHER"


def test_response_is_unchanged_when_log_directory_is_not_writable(logs: Logs, tmp_path: Path) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path / "file" / "logs")
    (tmp_path / "file").write_text("in the way")
    with serve_app(make_app()) as url:
        assert httpx.get(f"{url}/v1/threaded").status_code == 200


def test_middleware_created_before_configure_writes_to_same_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("inferlog.configuration._runtime", None)
    app = inferlog.InferenceMiddleware(make_app())
    inferlog.configure(service_name="scoring", log_dir=tmp_path)
    with serve_app(app) as url:
        assert httpx.get(f"{url}/v1/threaded").status_code == 200
    assert Logs(tmp_path).event["http"]["route"] == "/v1/threaded"
    inferlog.shutdown()
    assert capsys.readouterr().err == ""


def test_lifespan_passes_unchanged_and_its_end_writes_last_heartbeat(logs: Logs) -> None:
    sent: list[Any] = []
    messages = [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (scope, receive) == ({"type": "lifespan"}, "receive")
        with inferlog.track_performance("warm up"):
            pass
        for message in messages:
            await send(message)

    async def send(message: Any) -> None:
        sent.append((message, [line["message"] for line in logs.read_lines("health")]))

    asyncio.run(inferlog.InferenceMiddleware(app)({"type": "lifespan"}, "receive", send))  # type: ignore[arg-type]
    assert sent == [(messages[0], []), (messages[1], ["service_stopped"])]
