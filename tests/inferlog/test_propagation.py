"""Ids propagated between two services on real sockets, with each supported client."""

import asyncio
from collections.abc import Callable, Iterator

import fastapi
import httpx2 as httpx
import openai
import pytest
import requests

import inferlog
from tests.support.logfiles import Logs
from tests.support.polling import wait_until
from tests.support.serving import serve_app

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


@pytest.fixture
def callee(logs: Logs) -> Iterator[str]:
    app = fastapi.FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def echo(request: fastapi.Request) -> dict[str, object]:
        return {"id": "x", "object": "list", "data": [], "seen": dict(request.headers)}

    with serve_app(app) as url:
        yield url


def call_with_httpx(url: str) -> None:
    with inferlog.propagate(httpx.Client()) as client:
        client.get(url)


def call_with_async_httpx(url: str) -> None:
    async def call() -> None:
        async with inferlog.propagate(httpx.AsyncClient()) as client:
            await client.get(url)

    asyncio.run(call())


def call_with_requests(url: str) -> None:
    with inferlog.propagate(requests.Session()) as session:
        session.get(url, timeout=10)


def call_with_openai(url: str) -> None:
    with inferlog.propagate(httpx.Client()) as client:
        openai.OpenAI(base_url=url, api_key="x", http_client=client).models.list()


CLIENTS = [call_with_httpx, call_with_async_httpx, call_with_requests, call_with_openai]


@pytest.mark.parametrize("call", CLIENTS, ids=lambda call: call.__name__)
def test_one_line_ties_callee_event_to_caller_s(logs: Logs, callee: str, call: Callable[[str], None]) -> None:
    app = fastapi.FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)

    @app.get("/gateway")
    def gateway() -> str:
        call(callee)
        return "ok"

    with serve_app(app) as url:
        httpx.get(f"{url}/gateway", headers={"X-Correlation-ID": "order-17", "traceparent": TRACEPARENT})
    events = wait_until(lambda: logs.events if len(logs.events) == 2 else None, what="both events")
    assert {event["correlation_id"] for event in events} == {"order-17"}
    assert {event["trace"]["id"] for event in events} == {"4bf92f3577b34da6a3ce929d0e0e4736"}
    assert len({event["request_id"] for event in events}) == 2


def test_traceparent_is_forwarded_unchanged_and_caller_headers_win(callee: str) -> None:
    app = fastapi.FastAPI()
    app.add_middleware(inferlog.InferenceMiddleware)

    @app.get("/gateway")
    def gateway() -> dict[str, str]:
        with inferlog.propagate(httpx.Client()) as client:
            seen: dict[str, str] = client.get(callee, headers={"X-Correlation-ID": "mine"}).json()["seen"]
            return seen

    with serve_app(app) as url:
        seen = httpx.get(f"{url}/gateway", headers={"traceparent": TRACEPARENT}).json()
    assert seen["traceparent"] == TRACEPARENT
    assert seen["x-correlation-id"] == "mine"


@pytest.mark.parametrize("call", CLIENTS, ids=lambda call: call.__name__)
def test_no_header_is_added_outside_request(logs: Logs, callee: str, call: Callable[[str], None]) -> None:
    call(callee)
    assert logs.event["correlation_id"] == logs.event["request_id"]


def test_unsupported_client_is_rejected_with_advice() -> None:
    with pytest.raises(TypeError, match="object is neither an httpx client nor a requests session"):
        inferlog.propagate(object())
