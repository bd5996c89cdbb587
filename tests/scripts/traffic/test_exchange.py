"""Single requests, over real sockets, to services that behave in every way there is."""

import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as Incoming
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from inferlog_traffic import bodies
from inferlog_traffic.exchange import ROUTE, Answer, Outcome, Request, exchange, new_pool
from tests.support.serving import serving

Endpoint = Callable[[Incoming], Awaitable[Response]]
TOKEN = b'data: {"choices": [{"delta": {"content": "Once"}}]}\n\n'
END = b"data: [DONE]\n\n"


def sent(url: str, *, streamed: bool = False, leaves: bool = False, timeout_seconds: float = 5.0) -> Answer:
    request = Request(
        correlation_id="run-test-0-1-1",
        caller="test",
        body=bodies.chat("m", "Why?", stream=streamed),
        model="m",
        streamed=streamed,
        leaves=leaves,
    )
    answer = Answer()
    with new_pool(answer_timeout_seconds=timeout_seconds) as pool:
        exchange(pool, url, request, answer)
    return answer


@contextmanager
def service(endpoint: Endpoint) -> Iterator[str]:
    with serving(Starlette(routes=[Route(ROUTE, endpoint, methods=["POST"])])) as url:
        yield url


def streaming(*parts: bytes) -> Endpoint:
    async def answer(_: Incoming) -> Response:
        async def events() -> AsyncIterator[bytes]:
            for part in parts:
                yield part

        return StreamingResponse(events(), media_type="text/event-stream")

    return answer


def test_id_caller_and_body_arrive() -> None:
    seen: dict[str, Any] = {}

    async def note(request: Incoming) -> Response:
        seen.update(headers=dict(request.headers), body=await request.json())
        return JSONResponse({"choices": []})

    with service(note) as url:
        answer = sent(url)
    assert answer.outcome is Outcome.ANSWERED
    assert answer.body_bytes == len('{"choices":[]}')
    assert answer.first_token_at is None
    assert seen["headers"]["x-correlation-id"] == "run-test-0-1-1"
    assert seen["headers"]["authorization"] == "Bearer test"
    assert seen["body"]["messages"] == [{"role": "user", "content": "Why?"}]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.ANSWERED),
        (302, Outcome.FAILED),
        (400, Outcome.REFUSED),
        (429, Outcome.REFUSED),
        (500, Outcome.FAILED),
        (504, Outcome.FAILED),
    ],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_the_status_says_how_it_ended(status: int, outcome: Outcome, streamed: bool) -> None:
    async def answer(_: Incoming) -> Response:
        return Response(TOKEN + END, status_code=status, headers={"location": "/elsewhere", "retry-after": "0"})

    with service(answer) as url:
        answered = sent(url, streamed=streamed)
    assert (answered.outcome, answered.status_code) == (outcome, status)


def test_the_first_token_is_timed() -> None:
    with service(streaming(b": hello\n\n", TOKEN, TOKEN, END)) as url:
        answer = sent(url, streamed=True)
    assert answer.outcome is Outcome.ANSWERED
    assert answer.first_token_at is not None
    assert answer.ended_at is not None
    assert answer.first_token_at <= answer.ended_at


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ((TOKEN,), Outcome.BROKEN),
        ((TOKEN, b'data: {"error": {"message": "no"}}\n\n', END), Outcome.FAILED),
        ((END,), Outcome.ANSWERED),
    ],
    ids=["no end", "failure", "no token"],
)
def test_a_stream_says_how_it_ended(parts: tuple[bytes, ...], outcome: Outcome) -> None:
    with service(streaming(*parts)) as url:
        assert sent(url, streamed=True).outcome is outcome


def test_a_client_that_leaves_closes_the_connection_at_the_first_token() -> None:
    with raw_service(chunked(TOKEN), then_reads=True) as (url, heard):
        answer = sent(url, streamed=True, leaves=True)
    assert answer.outcome is Outcome.LEFT
    assert answer.first_token_at is not None
    assert heard[-1] == b"", "the end of the connection"


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = sent(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert (answer.outcome, answer.status_code) == (Outcome.UNANSWERED, None)
    assert answer.ended_at is not None


def test_a_connection_that_is_cut_before_an_answer_is_not_tried_again() -> None:
    """Sent twice, a request would have two events."""
    with raw_service(b"") as (url, heard):
        answer = sent(url)
    assert answer.outcome is Outcome.UNANSWERED
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("answer", "streamed"),
    [(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", False), ("chunked", True)],
    ids=["whole", "streamed"],
)
def test_an_answer_that_is_cut_is_broken(answer: bytes | str, streamed: bool) -> None:
    with raw_service(chunked(TOKEN) if answer == "chunked" else bytes(answer)) as (url, _):  # type: ignore[arg-type]
        answered = sent(url, streamed=streamed)
    assert (answered.outcome, answered.status_code) == (Outcome.BROKEN, 200)


def test_silence_is_given_up() -> None:
    with raw_service(b"", then_reads=True) as (url, _):
        answer = sent(url, timeout_seconds=0.2)
    assert (answer.outcome, answer.status_code) == (Outcome.UNANSWERED, None)


def test_every_malformed_body_is_another_one_and_none_is_a_good_request() -> None:
    made = bodies.malformed("m")
    assert len(set(made)) == len(made) > 8
    assert bodies.chat("m", "Name three colours.") not in made
    assert json.loads(bodies.chat("m", "Why?", max_tokens=3))["max_tokens"] == 3


def chunked(part: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n" % (len(part), part)


def whole_request(connection: socket.socket) -> bytes:
    """Read head and body, which may come one after the other."""
    with connection.makefile("rb") as incoming:
        head = b"".join(iter(incoming.readline, b"\r\n"))
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length
        return head + incoming.read(int(length[1]))


@contextmanager
def raw_service(answer: bytes, *, then_reads: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Answer one connection after the other with these bytes and close it; give what was heard."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_all() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                heard.append(whole_request(connection))
                connection.sendall(answer)
                if then_reads:
                    connection.settimeout(5)
                    heard.append(connection.recv(1))

    thread = Thread(target=answer_all, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
