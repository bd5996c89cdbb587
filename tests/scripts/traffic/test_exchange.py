"""Single requests over real sockets, with every outcome, and the parser of event streams."""

import itertools
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from inferlog_traffic import bodies
from inferlog_traffic.exchange import (
    ROUTE,
    EventStream,
    ObservedResponse,
    RequestOutcome,
    TrafficRequest,
    open_pool,
    send_request,
)
from tests.support.serving import serve_app

Endpoint = Callable[[Request], Awaitable[Response]]
TOKEN = b'data: {"choices": [{"delta": {"content": "Once"}}]}\n\n'
END = b"data: [DONE]\n\n"


def send(
    url: str, *, streamed: bool = False, leaves: bool = False, timeout_seconds: float = 5.0, keep_alive: bool = True
) -> ObservedResponse:
    request = TrafficRequest(
        correlation_id="run-test-0-1-1",
        caller="test",
        body=bodies.build_chat("m", "Why?", stream=streamed),
        model="m",
        streamed=streamed,
        leaves=leaves,
    )
    answer = ObservedResponse()
    with open_pool(answer_timeout_seconds=timeout_seconds, keep_alive=keep_alive) as pool:
        send_request(pool, url, request, answer)
    return answer


@contextmanager
def serve(endpoint: Endpoint) -> Iterator[str]:
    with serve_app(Starlette(routes=[Route(ROUTE, endpoint, methods=["POST"])])) as url:
        yield url


def make_streaming(*parts: bytes) -> Endpoint:
    async def answer(_: Request) -> Response:
        async def events() -> AsyncIterator[bytes]:
            for part in parts:
                yield part

        return StreamingResponse(events(), media_type="text/event-stream")

    return answer


def test_request_sends_id_caller_and_body() -> None:
    seen: dict[str, Any] = {}

    async def note(request: Request) -> Response:
        seen.update(headers=dict(request.headers), body=await request.json())
        return JSONResponse({"choices": []})

    with serve(note) as url:
        answer = send(url)
    assert answer.outcome is RequestOutcome.ANSWERED
    assert answer.body_bytes == len('{"choices":[]}')
    assert answer.first_token_at is None
    assert seen["headers"]["x-correlation-id"] == "run-test-0-1-1"
    assert seen["headers"]["authorization"] == "Bearer test"
    assert seen["body"]["messages"] == [{"role": "user", "content": "Why?"}]


@pytest.mark.parametrize("keep_alive", [True, False])
def test_connection_is_closed_only_without_keep_alive(keep_alive: bool) -> None:
    seen: list[str | None] = []

    async def note(request: Request) -> Response:
        seen.append(request.headers.get("connection"))
        return JSONResponse({"choices": []})

    with serve(note) as url:
        assert send(url, keep_alive=keep_alive).outcome is RequestOutcome.ANSWERED
    assert seen == [None if keep_alive else "close"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, RequestOutcome.ANSWERED),
        (302, RequestOutcome.FAILED),
        (400, RequestOutcome.REFUSED),
        (429, RequestOutcome.REFUSED),
        (500, RequestOutcome.FAILED),
        (504, RequestOutcome.FAILED),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_outcome_follows_the_status_code(status: int, outcome: RequestOutcome, streamed: bool) -> None:
    async def answer(_: Request) -> Response:
        return Response(TOKEN + END, status_code=status, headers={"location": "/elsewhere", "retry-after": "0"})

    with serve(answer) as url:
        answered = send(url, streamed=streamed)
    assert (answered.outcome, answered.status_code) == (outcome, status)


def test_first_token_is_timed() -> None:
    with serve(make_streaming(b": hello\n\n", TOKEN, TOKEN, END)) as url:
        answer = send(url, streamed=True)
    assert answer.outcome is RequestOutcome.ANSWERED
    assert answer.first_token_at is not None
    assert answer.ended_at is not None
    assert answer.first_token_at <= answer.ended_at


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ((TOKEN,), RequestOutcome.BROKEN),
        ((TOKEN, b'data: {"error": {"message": "no"}}\n\n', END), RequestOutcome.FAILED),
        ((END,), RequestOutcome.ANSWERED),
    ],
    ids=["no end", "failure", "no token"],
)
def test_outcome_follows_the_end_of_the_stream(parts: tuple[bytes, ...], outcome: RequestOutcome) -> None:
    with serve(make_streaming(*parts)) as url:
        assert send(url, streamed=True).outcome is outcome


def test_leaving_client_closes_the_connection_at_the_first_token() -> None:
    with serve_raw(encode_chunk(TOKEN), then_reads=True) as (url, received):
        answer = send(url, streamed=True, leaves=True)
    assert answer.outcome is RequestOutcome.LEFT
    assert answer.first_token_at is not None
    assert received[-1] == b"", "the end of the connection"


def test_request_is_unanswered_when_no_service_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = send(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert (answer.outcome, answer.status_code) == (RequestOutcome.UNANSWERED, None)
    assert answer.ended_at is not None


def test_request_is_not_retried_when_the_connection_is_cut_before_a_response() -> None:
    """A request that is sent twice would have two events."""
    with serve_raw(b"") as (url, received):
        answer = send(url)
    assert answer.outcome is RequestOutcome.UNANSWERED
    assert len(received) == 1


@pytest.mark.parametrize(
    ("answer", "streamed"),
    [(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", False), ("chunked", True)],
    ids=["whole", "streamed"],
)
def test_response_is_broken_when_it_is_cut(answer: bytes | str, streamed: bool) -> None:
    with serve_raw(encode_chunk(TOKEN) if answer == "chunked" else bytes(answer)) as (url, _):  # type: ignore[arg-type]
        answered = send(url, streamed=streamed)
    assert (answered.outcome, answered.status_code) == (RequestOutcome.BROKEN, 200)


def test_request_is_unanswered_after_the_timeout() -> None:
    with serve_raw(b"", then_reads=True) as (url, _):
        answer = send(url, timeout_seconds=0.2)
    assert (answer.outcome, answer.status_code) == (RequestOutcome.UNANSWERED, None)


def test_malformed_bodies_are_distinct_and_differ_from_a_valid_one() -> None:
    made = bodies.build_malformed("m")
    assert len(set(made)) == len(made) > 8
    assert bodies.build_chat("m", "Name three colours.") not in made
    assert json.loads(bodies.build_chat("m", "Why?", max_tokens=3))["max_tokens"] == 3


def encode_chunk(part: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n" % (len(part), part)


def read_request(connection: socket.socket) -> bytes:
    """Read headers and body, which may arrive separately."""
    with connection.makefile("rb") as incoming:
        head = b"".join(iter(incoming.readline, b"\r\n"))
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length
        return head + incoming.read(int(length[1]))


@contextmanager
def serve_raw(answer: bytes, *, then_reads: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Answer one connection after the other with *answer* and close it; yield the URL and the received data."""
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_all() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                received.append(read_request(connection))
                connection.sendall(answer)
                if then_reads:
                    connection.settimeout(5)
                    received.append(connection.recv(1))

    thread = Thread(target=answer_all, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", received
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def make_event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


ROLE = b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
FAILURE = b'data: {"error": {"message": "the model failed"}}\n\n'
END = b"data: [DONE]\n\n"
ANSWER = ROLE + make_event("Once") + make_event(" upon") + END


def feed(*parts: bytes) -> EventStream:
    stream = EventStream()
    for part in parts:
        stream.feed(part)
    return stream


@given(st.lists(st.integers(min_value=0, max_value=len(ANSWER)), max_size=20).map(sorted))
def test_event_stream_does_not_depend_on_the_cuts(cuts: list[int]) -> None:
    edges = [0, *cuts, len(ANSWER)]
    stream = feed(*(ANSWER[start:end] for start, end in itertools.pairwise(edges)))
    assert (stream.has_token, stream.complete, stream.failed) == (True, True, False)


def test_event_stream_has_no_token_when_it_has_only_a_role() -> None:
    assert not feed(ROLE).has_token
    assert feed(ROLE, make_event("O")).has_token


def test_event_stream_has_failed_after_an_error() -> None:
    stream = feed(ROLE, make_event("Once"), FAILURE, END)
    assert (stream.has_token, stream.complete, stream.failed) == (True, True, True)


def test_event_stream_is_incomplete_without_its_end() -> None:
    assert not feed(ROLE, make_event("Once"), END.rstrip()).complete


@pytest.mark.parametrize("line", [b": keep-alive", b"event: ping", b"data: {", b"data: 1", b'data: {"choices": []}'])
def test_event_stream_ignores_unknown_lines(line: bytes) -> None:
    stream = feed(line + b"\n", END)
    assert (stream.has_token, stream.complete, stream.failed) == (False, True, False)


@given(st.binary())
def test_event_stream_accepts_any_bytes(part: bytes) -> None:
    feed(part, b"\n", END)
