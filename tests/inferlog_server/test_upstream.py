"""The service as a gateway: its requests to the upstream server, its responses, and its events."""

import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx2 as httpx
import openai
import pytest

import inferlog
from inferlog_server.app import create_app
from inferlog_server.settings import ServerSettings
from tests.support.chat_server import MODEL, connect, run_server
from tests.support.logfiles import Logs
from tests.support.polling import wait_until
from tests.support.serving import serve_app

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
SendResponse = Callable[[Receive, Send], Awaitable[None]]

KEY = "sk-upstream-0123456789abcdef"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
QUESTION: list[Any] = [{"role": "user", "content": "Say hello."}]


@dataclass
class ScriptedUpstream:
    """A server whose next response is set by the test; it records its requests, and whether its client disconnected."""

    url: str = ""
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    left: bool = False
    answer: SendResponse | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((headers | {":path": scope["path"]}, json.loads(body)))
        assert self.answer
        await self.answer(receive, send)

    async def wait_until_the_client_leaves(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left = True


@dataclass(frozen=True)
class Gateway:
    url: str
    logs: Logs

    def ask(self, *, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        body = {"model": MODEL, "messages": QUESTION, **more}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, headers=headers, timeout=30)


class StartGateway(Protocol):
    """Serves the gateway with its arguments as settings, until the end of the test."""

    def __call__(self, **settings: Any) -> Gateway: ...


@pytest.fixture(scope="module")
def served() -> Iterator[ScriptedUpstream]:
    scripted = ScriptedUpstream()
    with serve_app(scripted) as url:
        scripted.url = url
        yield scripted


@pytest.fixture
def upstream(served: ScriptedUpstream) -> ScriptedUpstream:
    """An upstream server without recorded requests."""
    served.requests.clear()
    served.left, served.answer = False, None
    return served


@pytest.fixture
def gateway(upstream: ScriptedUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartGateway]:
    monkeypatch.setenv("INFERLOG_LOG_DIR", str(tmp_path / "logs"))
    with ExitStack() as servers:

        def start(**settings: Any) -> Gateway:
            app = create_app(ServerSettings(backend="upstream", **{"upstream_url": upstream.url} | settings))
            return Gateway(servers.enter_context(serve_app(app, lifespan="on")), Logs(tmp_path / "logs"))

        yield start
    inferlog.shutdown()


def build_chunk(content: str | None = None, *, finish_reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"model": f"{MODEL}:v7", "choices": [choice], **more}, ensure_ascii=False).encode()


def stream(*events: bytes, broken: bool = False) -> SendResponse:
    async def answer(_: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for event in events:
            await send({"type": "http.response.body", "body": event + b"\n\n", "more_body": True})
        if broken:
            raise ConnectionResetError("the process died")
        await send({"type": "http.response.body"})

    return answer


def make_status(code: int, body: Any = None, **headers: str) -> SendResponse:
    async def answer(_: Receive, send: Send) -> None:
        fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": code, "headers": fields})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    return answer


ROUNDED_SECONDS = 1e-5
HELLO_STREAM = (
    build_chunk("Hel"),
    build_chunk("lo\u2028!"),
    build_chunk(finish_reason="length"),
    b'data: {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}',
    b"data: [DONE]",
)


@pytest.mark.parametrize("streamed", [False, True])
def test_response_and_event_have_the_figures_of_the_upstream(
    gateway: StartGateway, upstream: ScriptedUpstream, streamed: bool
) -> None:
    upstream.answer = stream(*HELLO_STREAM)
    gateway_server = gateway()
    with openai.OpenAI(base_url=f"{gateway_server.url}/v1", api_key="of-the-client", max_retries=0) as client:
        answer: Any = client.chat.completions.create(model=MODEL, messages=QUESTION, stream=streamed)
        if streamed:
            *chunks, last = list(answer)
            text = "".join(part.choices[0].delta.content or "" for part in chunks)
            models, reason = {part.model for part in [*chunks, last]}, last.choices[0].finish_reason
        else:
            last, text = answer, answer.choices[0].message.content
            models, reason = {answer.model}, answer.choices[0].finish_reason

    assert text == "Hello\u2028!"
    assert (models, reason) == ({f"{MODEL}:v7"}, "length")
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (12, 3)
    event = gateway_server.logs.event
    assert event["status"] == "success"
    assert (event["model_name"], event["model_version"]) == (MODEL, "v7")
    assert event["gen_ai"]["usage"] == {"input_tokens": 12, "output_tokens": 3}
    assert event["gen_ai"]["response"]["finish_reasons"] == ["length"]
    assert 0 < event["time_to_first_token_seconds"] <= event["latency_seconds"]
    assert 0 < event["model_latency_seconds"] <= event["latency_seconds"]
    assert event["queue_seconds"] + event["model_latency_seconds"] <= event["latency_seconds"] + ROUNDED_SECONDS


def test_upstream_gets_ids_and_its_key_but_no_other_header_of_the_client(
    gateway: StartGateway, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFERLOG_LOG_LEVEL", "debug")
    upstream.answer = stream(*HELLO_STREAM)
    gateway_server = gateway(upstream_api_key=KEY)
    caller = {"x-correlation-id": "order-17", "traceparent": TRACEPARENT, "authorization": "Bearer of-the-client"}
    gateway_server.ask(headers=caller | {"cookie": "session=1"}, model=f"{MODEL}:v2", temperature=0.25, max_tokens=9)

    ((headers, body),) = upstream.requests
    assert headers[":path"] == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-correlation-id"] == gateway_server.logs.event["correlation_id"] == "order-17"
    assert headers["traceparent"] == TRACEPARENT
    assert "cookie" not in headers
    assert "of-the-client" not in json.dumps(headers)
    assert (body["model"], body["temperature"], body["max_tokens"]) == (f"{MODEL}:v2", 0.25, 9)
    written = "".join(path.read_text() for path in gateway_server.logs.directory.rglob("*") if path.is_file())
    assert written
    assert KEY not in written
    assert not [line for line in gateway_server.logs.read_lines("app") if line["log"]["logger"].startswith("http")]


def test_response_with_another_model_name_counts_as_the_requested_version(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    upstream.answer = stream(build_chunk("Hi", finish_reason="stop", model="gpt-4o-2026-08-06"), b"data: [DONE]")
    gateway_server = gateway(versions=[{"name": "hosted", "upstream_model": "gpt-4o"}])
    answer = gateway_server.ask().json()

    assert upstream.requests[0][1]["model"] == "gpt-4o"
    assert answer["model"] == f"{MODEL}:hosted"
    assert "usage" not in answer
    event = gateway_server.logs.event
    assert event["model_version"] == "hosted"
    assert "usage" not in event["gen_ai"]


REFUSAL = {"message": "No such thing as tell-nobody-4711", "type": "not_found", "param": "model", "code": "no_model"}


@pytest.mark.parametrize("streamed", [False, True])
def test_rejection_is_forwarded_without_its_message_in_the_event(
    gateway: StartGateway, upstream: ScriptedUpstream, streamed: bool
) -> None:
    upstream.answer = make_status(429, {"error": REFUSAL}, retry_after="7")
    gateway_server = gateway()
    answer = gateway_server.ask(stream=streamed)

    assert (answer.status_code, answer.json()) == (429, {"error": REFUSAL})
    assert answer.headers["retry-after"] == "7"
    event = gateway_server.logs.event
    assert event["status"] == "rejected"
    assert event["error"] == {"type": "no_model", "message": "The upstream service answered with status 429"}


FAILURES = {
    "500": make_status(500, {"error": REFUSAL}),
    "503": make_status(503),
    "our key refused": make_status(401, {"error": REFUSAL}),
    "a redirect": make_status(307, location="http://elsewhere.invalid/"),
    "no stream": make_status(200, {"choices": []}, content_type="application/json"),
    "nonsense": stream(b"data: nonsense"),
    "nothing but the end": stream(b"data: [DONE]"),
    "nothing": stream(),
    "a broken connection": stream(broken=True),
    "an error in the stream": stream(b'data: {"error": {"message": "tell-nobody-4711"}}'),
    "an event above the limit": stream(build_chunk("x" * 1_100_000)),
}


def test_upstream_failure_is_a_bad_gateway(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    gateway_server = gateway()
    for number, (failure, upstream.answer) in enumerate(FAILURES.items()):
        answer = gateway_server.ask(stream=number % 2 == 0)

        assert (answer.status_code, answer.json()["error"]["type"]) == (502, "server_error"), failure
        assert answer.json()["error"]["code"] == "upstream_failed"
        event = wait_until(lambda: gateway_server.logs.events[number:], what="its event")[0]  # noqa: B023
        assert (event["status"], event["error"]["type"]) == ("error", "upstream_failed")
        assert event["http"]["response"]["status_code"] == 502
        assert "tell-nobody" not in answer.text + json.dumps(event)


def test_upstream_timeout_status_is_a_gateway_timeout(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    upstream.answer = make_status(504)
    gateway_server = gateway()
    answer = gateway_server.ask()

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert (gateway_server.logs.event["status"], gateway_server.logs.event["error"]["type"]) == (
        "error",
        "upstream_timeout",
    )


def test_unreachable_upstream_is_a_bad_gateway_with_its_address_in_the_event_only(gateway: StartGateway) -> None:
    with socket.socket() as bound:  # bound, but not listening
        bound.bind(("127.0.0.1", 0))
        gateway_server = gateway(upstream_url=f"http://127.0.0.1:{bound.getsockname()[1]}")
        answer = gateway_server.ask()

    assert answer.status_code == 502
    assert answer.json()["error"]["message"] == "The upstream service failed: no connection to it"
    assert "ConnectError" in gateway_server.logs.event["error"]["message"]


def test_connection_timeout_is_a_gateway_timeout(gateway: StartGateway) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(2):  # never accepted, so the backlog is full for the next one
            connection = waiting.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex(full.getsockname())
        gateway_server = gateway(
            upstream_url=f"http://127.0.0.1:{full.getsockname()[1]}", upstream_connect_timeout_seconds=0.1
        )
        answer = gateway_server.ask()

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert gateway_server.logs.event["error"]["type"] == "upstream_timeout"


@pytest.mark.parametrize(
    "ending", [stream(build_chunk("Hel"), broken=True), stream(build_chunk("Hel"), b'data: {"error": "x"}')]
)
def test_stream_ends_with_an_error_when_the_upstream_breaks_off(
    gateway: StartGateway, upstream: ScriptedUpstream, ending: SendResponse
) -> None:
    upstream.answer = ending
    gateway_server = gateway()
    text = gateway_server.ask(stream=True).text

    assert '"content":"Hel"' in text
    assert '"code":"upstream_failed"' in text
    event = gateway_server.logs.event
    assert (event["status"], event["error"]["type"]) == ("error", "upstream_failed")
    assert event["http"]["response"]["status_code"] == 200
    assert event["model_version"] == "v7"


@pytest.mark.parametrize("begun", [False, True])
def test_slow_upstream_is_disconnected_at_the_deadline(
    gateway: StartGateway, upstream: ScriptedUpstream, begun: bool
) -> None:
    async def endless(receive: Receive, send: Send) -> None:
        if begun:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": build_chunk("Hel") + b"\n\n", "more_body": True})
        await upstream.wait_until_the_client_leaves(receive)

    upstream.answer = endless
    gateway_server = gateway(deadline_seconds=1)
    answer = gateway_server.ask()

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    event = gateway_server.logs.event
    assert event["status"] == "error"
    assert ("time_to_first_token_seconds" in event) is begun
    wait_until(lambda: upstream.left, what="the upstream to see the gateway leave")


def test_slot_is_released_after_every_ending(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    gateway_server = gateway(upstream_parallel_requests=1, queue_limit_requests=0)
    for answer in (make_status(500), stream(broken=True), stream(build_chunk("Hel"), broken=True), make_status(400)):
        upstream.answer = answer
        assert gateway_server.ask().status_code in (400, 502)
    upstream.answer = lambda receive, _: upstream.wait_until_the_client_leaves(receive)
    with connect(gateway_server.url):
        wait_until(lambda: len(upstream.requests) == 5, what="an open request")
    upstream.answer = stream(*HELLO_STREAM)
    wait_until(lambda: gateway_server.ask().status_code == 200, what="the slot of the client that disconnected")


def test_requests_beyond_the_slots_wait_and_beyond_the_queue_are_rejected(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    upstream.answer = lambda receive, _: upstream.wait_until_the_client_leaves(receive)
    gateway_server = gateway(upstream_parallel_requests=1, queue_limit_requests=1)
    with connect(gateway_server.url):
        wait_until(lambda: upstream.requests, what="an open request")
        with connect(gateway_server.url):
            wait_until(lambda: _count_waiting_requests() == 1, what="a request in the queue")
            refused = gateway_server.ask()
            assert _count_waiting_requests() == len(upstream.requests) == 1

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")


def _count_waiting_requests() -> int:
    gauges: dict[str, int] = inferlog.configuration.get_runtime().heartbeat.build_line()["gauges"]
    return gauges["queue_requests"]


def test_upstream_generation_ends_when_a_client_leaves_the_gateway(gateway: StartGateway, tmp_path: Path) -> None:
    slow = {"first_token_median_seconds": 0, "token_median_seconds": 1, "output_tokens_median": 60, "sigma": 0}
    versions = [{"name": "v1", "simulated": slow}]
    often = {"INFERLOG_HEARTBEAT_SECONDS": "0.05"}
    with run_server(tmp_path / "model", often, backend="simulated", versions=versions) as model:

        def one_is_over_and_one_is_there() -> bool:
            beats = model.logs.read_lines("health")
            return any((beat["events_written"], beat["active_requests"]) == (1, 1) for beat in beats)

        gateway_server = gateway(upstream_url=model.url, versions=[{"name": "v1"}])
        with connect(gateway_server.url, stream=True) as streamed:
            received = b""
            while b'"once"' not in received:
                piece = streamed.recv(1000)
                assert piece, f"the stream ended: {received!r}"
                received += piece
        with connect(gateway_server.url):
            wait_until(one_is_over_and_one_is_there, what="the second to reach the model server")
        events = [
            *wait_until(
                lambda: gateway_server.logs.events[1:] and gateway_server.logs.events, what="both events of the gateway"
            ),
            *wait_until(lambda: model.logs.events[1:] and model.logs.events, what="both events of the model server"),
        ]

    assert [event["status"] for event in events] == ["cancelled"] * 4
    assert [event["correlation_id"] for event in events[:2]] == [event["correlation_id"] for event in events[2:]]
