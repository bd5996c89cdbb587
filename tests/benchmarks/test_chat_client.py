"""Client of the benchmarks: correct times, and rejection of error responses."""

import asyncio
import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from unittest import mock

import pytest

from benchmarks import chat_client
from benchmarks.chat_client import Connection, ResponseTimes, build_chat_request, send_requests
from tests.support.chat_server import MODEL, run_server

FIRST_SECONDS, REST_SECONDS = 0.05, 1.0
VERSIONS = [
    {
        "name": "v1",
        "simulated": {
            "first_token_median_seconds": FIRST_SECONDS,
            "token_median_seconds": REST_SECONDS / 10,
            "output_tokens_median": 11,
            "sigma": 0,
        },
    }
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_server(tmp_path_factory.mktemp("paced"), backend="simulated", versions=VERSIONS) as server:
        yield server.url


def measure_answers(url: str, request: bytes, *, requests: int, connections: int) -> list[ResponseTimes]:
    async def asked() -> list[ResponseTimes]:
        opened = [await Connection.open(url) for _ in range(connections)]
        try:
            return await send_requests(opened, request, requests=requests)
        finally:
            for connection in opened:
                connection.close()

    return asyncio.run(asked())


def test_times_of_a_response_contain_those_of_the_model(url: str) -> None:
    for answer in measure_answers(url, build_chat_request(MODEL, stream=True), requests=3, connections=1):
        assert FIRST_SECONDS <= answer.first_seconds <= answer.whole_seconds
        assert answer.whole_seconds >= FIRST_SECONDS + REST_SECONDS
    (answer,) = measure_answers(url, build_chat_request(MODEL, stream=False), requests=1, connections=1)
    assert FIRST_SECONDS + REST_SECONDS <= answer.first_seconds <= answer.whole_seconds


@pytest.mark.parametrize(
    ("parts", "first_seconds", "whole_seconds"),
    [
        ([b"HTTP/1.1 200 OK\r\n\r\n", b"5\r\nfirst\r\n", b"4\r\nlast\r\n", b"0\r\n\r\n"], 2.0, 4.0),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"{}"], 2.0, 2.0),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{", b"}"], 1.0, 2.0),
    ],
    ids=["stream", "whole", "whole in two parts"],
)
def test_first_and_last_byte_of_the_body_are_timed(
    parts: list[bytes], first_seconds: float, whole_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is sent at 0 s, and one part of the response arrives each second."""
    clock = SimpleNamespace(perf_counter=map(float, itertools.count()).__next__)
    monkeypatch.setattr(chat_client, "time", clock)

    async def receive() -> ResponseTimes:
        connection = Connection()
        connection.connection_made(mock.create_autospec(asyncio.Transport, instance=True))
        answer = connection.ask(b"")
        for part in parts:
            connection.data_received(part)
        return await answer

    assert asyncio.run(receive()) == ResponseTimes(first_seconds=first_seconds, whole_seconds=whole_seconds)


def test_send_requests_sends_requested_number(url: str) -> None:
    assert len(measure_answers(url, build_chat_request(MODEL, stream=True), requests=7, connections=3)) == 7


def test_error_response_raises(url: str) -> None:
    with pytest.raises(RuntimeError, match="model_not_found"):
        measure_answers(url, build_chat_request("unknown", stream=False), requests=1, connections=1)
