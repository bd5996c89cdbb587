"""The service as a gateway: what it asks another service, what it makes of the answer, and what its event says."""

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
from inferlog_server.settings import Settings
from tests.support.chat_server import MODEL, connect, running_server
from tests.support.logfiles import Logs
from tests.support.polling import wait_until
from tests.support.serving import serving

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = Callable[[Receive, Send], Awaitable[None]]

KEY = "sk-upstream-0123456789abcdef"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
QUESTION: list[Any] = [{"role": "user", "content": "Say hello."}]


@dataclass
class ScriptedUpstream:
    """A service whose next answers the test writes; it remembers what it was asked, and whether its client left."""

    url: str = ""
    asked: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    left: bool = False
    answer: Answer | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((headers | {":path": scope["path"]}, json.loads(body)))
        assert self.answer
        await self.answer(receive, send)

    async def until_the_client_leaves(self, receive: Receive) -> None:
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
    """Serves the gateway with the settings given, until the end of the test."""

    def __call__(self, **settings: Any) -> Gateway: ...


@pytest.fixture(scope="module")
def served() -> Iterator[ScriptedUpstream]:
    scripted = ScriptedUpstream()
    with serving(scripted) as url:
        scripted.url = url
        yield scripted


@pytest.fixture
def upstream(served: ScriptedUpstream) -> ScriptedUpstream:
    """One that has not been asked anything."""
    served.asked.clear()
    served.left, served.answer = False, None
    return served


@pytest.fixture
def gateway(upstream: ScriptedUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartGateway]:
    monkeypatch.setenv("INFERLOG_LOG_DIR", str(tmp_path / "logs"))
    with ExitStack() as servers:

        def start(**settings: Any) -> Gateway:
            app = create_app(Settings(backend="upstream", **{"upstream_url": upstream.url} | settings))
            return Gateway(servers.enter_context(serving(app, lifespan="on")), Logs(tmp_path / "logs"))

        yield start
    inferlog.shutdown()


def chunk(content: str | None = None, *, finish_reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"model": f"{MODEL}:v7", "choices": [choice], **more}, ensure_ascii=False).encode()


def stream(*events: bytes, broken: bool = False) -> Answer:
    async def answer(_: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for event in events:
            await send({"type": "http.response.body", "body": event + b"\n\n", "more_body": True})
        if broken:
            raise ConnectionResetError("the process died")
        await send({"type": "http.response.body"})

    return answer


def status(code: int, body: Any = None, **headers: str) -> Answer:
    async def answer(_: Receive, send: Send) -> None:
        fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": code, "headers": fields})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    return answer


HELLO = (
    chunk("Hel"),
    chunk("lo\u2028!"),
    chunk(finish_reason="length"),
    b'data: {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}}',
    b"data: [DONE]",
)


@pytest.mark.parametrize("streamed", [False, True])
def test_the_answer_and_the_event_say_what_the_upstream_says(
    gateway: StartGateway, upstream: ScriptedUpstream, streamed: bool
) -> None:
    upstream.answer = stream(*HELLO)
    asking = gateway()
    with openai.OpenAI(base_url=f"{asking.url}/v1", api_key="of-the-client", max_retries=0) as client:
        answer = client.chat.completions.create(model=MODEL, messages=QUESTION, stream=streamed)
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
    event = asking.logs.event
    assert event["status"] == "success"
    assert (event["model_name"], event["model_version"]) == (MODEL, "v7")
    assert event["gen_ai"]["usage"] == {"input_tokens": 12, "output_tokens": 3}
    assert event["gen_ai"]["response"]["finish_reasons"] == ["length"]
    assert 0 < event["time_to_first_token_seconds"] <= event["latency_seconds"]
    assert 0 < event["model_latency_seconds"] <= event["latency_seconds"]
    assert event["queue_seconds"] < 1


def test_the_upstream_is_told_the_chain_and_the_key_and_nothing_else_of_the_client(
    gateway: StartGateway, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFERLOG_LOG_LEVEL", "debug")
    upstream.answer = stream(*HELLO)
    asking = gateway(upstream_api_key=KEY)
    caller = {"x-correlation-id": "order-17", "traceparent": TRACEPARENT, "authorization": "Bearer of-the-client"}
    asking.ask(headers=caller | {"cookie": "session=1"}, model=f"{MODEL}:v2", temperature=0.25, max_tokens=9)

    ((headers, body),) = upstream.asked
    assert headers[":path"] == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-correlation-id"] == asking.logs.event["correlation_id"] == "order-17"
    assert headers["traceparent"] == TRACEPARENT
    assert "cookie" not in headers
    assert "of-the-client" not in json.dumps(headers)
    assert (body["model"], body["temperature"], body["max_tokens"]) == (f"{MODEL}:v2", 0.25, 9)
    written = "".join(path.read_text() for path in asking.logs.directory.rglob("*") if path.is_file())
    assert written
    assert KEY not in written
    assert not [line for line in asking.logs.lines("app") if line["log"]["logger"].startswith("http")]


def test_a_model_of_another_name_counts_as_the_version_that_asks_for_it(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    upstream.answer = stream(chunk("Hi", finish_reason="stop", model="gpt-4o-2026-08-06"), b"data: [DONE]")
    asking = gateway(versions=[{"name": "hosted", "upstream_model": "gpt-4o"}])
    answer = asking.ask().json()

    assert upstream.asked[0][1]["model"] == "gpt-4o"
    assert answer["model"] == f"{MODEL}:hosted"
    assert "usage" not in answer
    event = asking.logs.event
    assert event["model_version"] == "hosted"
    assert "usage" not in event["gen_ai"]


REFUSAL = {"message": "No such thing as tell-nobody-4711", "type": "not_found", "param": "model", "code": "no_model"}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refusal_is_passed_on_and_its_words_are_not_in_the_event(
    gateway: StartGateway, upstream: ScriptedUpstream, streamed: bool
) -> None:
    upstream.answer = status(429, {"error": REFUSAL}, retry_after="7")
    asking = gateway()
    answer = asking.ask(stream=streamed)

    assert (answer.status_code, answer.json()) == (429, {"error": REFUSAL})
    assert answer.headers["retry-after"] == "7"
    event = asking.logs.event
    assert event["status"] == "rejected"
    assert event["error"] == {"type": "no_model", "message": "The upstream service answered with status 429"}


FAILURES = {
    "500": status(500, {"error": REFUSAL}),
    "503": status(503),
    "our key refused": status(401, {"error": REFUSAL}),
    "a redirect": status(307, location="http://elsewhere.invalid/"),
    "no stream": status(200, {"choices": []}, content_type="application/json"),
    "nonsense": stream(b"data: nonsense"),
    "nothing but the end": stream(b"data: [DONE]"),
    "nothing": stream(),
    "a broken connection": stream(broken=True),
    "an error in the stream": stream(b'data: {"error": {"message": "tell-nobody-4711"}}'),
    "more than anyone says at once": stream(chunk("x" * 1_100_000)),
}


def test_a_failure_of_the_upstream_is_a_bad_gateway(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    asking = gateway()
    for number, (failure, upstream.answer) in enumerate(FAILURES.items()):
        answer = asking.ask(stream=number % 2 == 0)

        assert (answer.status_code, answer.json()["error"]["type"]) == (502, "server_error"), failure
        assert answer.json()["error"]["code"] == "upstream_failed"
        event = wait_until(lambda: asking.logs.events[number:], what="its event")[0]  # noqa: B023
        assert (event["status"], event["error"]["type"]) == ("error", "upstream_failed")
        assert event["http"]["response"]["status_code"] == 502
        assert "tell-nobody" not in answer.text + json.dumps(event)


def test_an_upstream_that_says_itself_that_it_was_too_slow_is_a_gateway_timeout(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    upstream.answer = status(504)
    asking = gateway()
    answer = asking.ask()

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert (asking.logs.event["status"], asking.logs.event["error"]["type"]) == ("error", "upstream_timeout")


def test_nobody_there_is_a_bad_gateway_and_only_the_event_says_where(gateway: StartGateway) -> None:
    with socket.socket() as bound:  # and it does not listen
        bound.bind(("127.0.0.1", 0))
        asking = gateway(upstream_url=f"http://127.0.0.1:{bound.getsockname()[1]}")
        answer = asking.ask()

    assert answer.status_code == 502
    assert answer.json()["error"]["message"] == "The upstream service failed: it cannot be reached"
    assert "ConnectError" in asking.logs.event["error"]["message"]


def test_a_connection_that_does_not_come_about_is_a_gateway_timeout(gateway: StartGateway) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(2):  # nobody accepts them; the next finds no place
            connection = waiting.enter_context(socket.socket())
            connection.setblocking(False)
            connection.connect_ex(full.getsockname())
        asking = gateway(upstream_url=f"http://127.0.0.1:{full.getsockname()[1]}", upstream_connect_timeout_seconds=0.1)
        answer = asking.ask()

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert asking.logs.event["error"]["type"] == "upstream_timeout"


@pytest.mark.parametrize("ending", [stream(chunk("Hel"), broken=True), stream(chunk("Hel"), b'data: {"error": "x"}')])
def test_an_answer_that_breaks_off_ends_the_stream_with_an_error(
    gateway: StartGateway, upstream: ScriptedUpstream, ending: Answer
) -> None:
    upstream.answer = ending
    asking = gateway()
    text = asking.ask(stream=True).text

    assert '"content":"Hel"' in text
    assert '"code":"upstream_failed"' in text
    event = asking.logs.event
    assert (event["status"], event["error"]["type"]) == ("error", "upstream_failed")
    assert event["http"]["response"]["status_code"] == 200
    assert event["model_version"] == "v7"


@pytest.mark.parametrize("begun", [False, True])
def test_an_upstream_that_takes_too_long_is_left(
    gateway: StartGateway, upstream: ScriptedUpstream, begun: bool
) -> None:
    async def endless(receive: Receive, send: Send) -> None:
        if begun:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": chunk("Hel") + b"\n\n", "more_body": True})
        await upstream.until_the_client_leaves(receive)

    upstream.answer = endless
    asking = gateway(deadline_seconds=1)
    answer = asking.ask()

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_exceeded")
    event = asking.logs.event
    assert event["status"] == "error"
    assert ("time_to_first_token_seconds" in event) is begun
    wait_until(lambda: upstream.left, what="the upstream to see the gateway leave")


def test_a_place_is_free_again_after_every_ending(gateway: StartGateway, upstream: ScriptedUpstream) -> None:
    asking = gateway(upstream_parallel_requests=1, queue_limit_requests=0)
    for answer in (status(500), stream(broken=True), stream(chunk("Hel"), broken=True), status(400)):
        upstream.answer = answer
        assert asking.ask().status_code in (400, 502)
    upstream.answer = lambda receive, _: upstream.until_the_client_leaves(receive)
    with connect(asking.url):
        wait_until(lambda: len(upstream.asked) == 5, what="a request under way")
    upstream.answer = stream(*HELLO)
    wait_until(lambda: asking.ask().status_code == 200, what="the place of the client that left")


def test_requests_beyond_the_places_wait_and_beyond_that_are_refused(
    gateway: StartGateway, upstream: ScriptedUpstream
) -> None:
    upstream.answer = lambda receive, _: upstream.until_the_client_leaves(receive)
    asking = gateway(upstream_parallel_requests=1, queue_limit_requests=1)
    with connect(asking.url):
        wait_until(lambda: upstream.asked, what="a request under way")
        with connect(asking.url):
            wait_until(lambda: _waiting_requests() == 1, what="a request that waits")
            refused = asking.ask()
            assert _waiting_requests() == len(upstream.asked) == 1

    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")


def _waiting_requests() -> int:
    gauges: dict[str, int] = inferlog.configuration.runtime().heartbeat.line()["gauges"]
    return gauges["queue_requests"]


def test_a_client_that_leaves_the_gateway_ends_the_generation_of_the_model_server(
    gateway: StartGateway, tmp_path: Path
) -> None:
    slow = {"first_token_median_seconds": 0, "token_median_seconds": 1, "output_tokens_median": 60, "sigma": 0}
    versions = [{"name": "v1", "simulated": slow}]
    often = {"INFERLOG_HEARTBEAT_SECONDS": "0.05"}
    with running_server(tmp_path / "model", often, backend="simulated", versions=versions) as model:

        def one_is_over_and_one_is_there() -> bool:
            beats = model.logs.lines("health")
            return any((beat["events_written"], beat["active_requests"]) == (1, 1) for beat in beats)

        asking = gateway(upstream_url=model.url, versions=[{"name": "v1"}])
        with connect(asking.url, stream=True) as streamed:
            received = b""
            while b'"once"' not in received:
                piece = streamed.recv(1000)
                assert piece, f"the stream ended: {received!r}"
                received += piece
        with connect(asking.url):
            wait_until(one_is_over_and_one_is_there, what="the second to reach the model server")
        events = [
            *wait_until(lambda: asking.logs.events[1:] and asking.logs.events, what="both events of the gateway"),
            *wait_until(lambda: model.logs.events[1:] and model.logs.events, what="both events of the model server"),
        ]

    assert [event["status"] for event in events] == ["cancelled"] * 4
    assert [event["correlation_id"] for event in events[:2]] == [event["correlation_id"] for event in events[2:]]
