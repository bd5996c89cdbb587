"""Client of the benchmarks: correct times, and rejection of error responses."""

import asyncio
from collections.abc import Iterator

import pytest

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


def test_first_token_of_stream_is_timed_separately(url: str) -> None:
    for answer in measure_answers(url, build_chat_request(MODEL, stream=True), requests=3, connections=1):
        assert answer.first_seconds >= FIRST_SECONDS
        assert answer.first_seconds + REST_SECONDS * 0.8 <= answer.whole_seconds


def test_first_and_last_byte_of_whole_response_arrive_together(url: str) -> None:
    (answer,) = measure_answers(url, build_chat_request(MODEL, stream=False), requests=1, connections=1)
    assert answer.whole_seconds >= FIRST_SECONDS + REST_SECONDS
    assert answer.first_seconds == answer.whole_seconds  # one write of the service, one reading of the clock


def test_send_requests_sends_requested_number(url: str) -> None:
    assert len(measure_answers(url, build_chat_request(MODEL, stream=True), requests=7, connections=3)) == 7


def test_error_response_raises(url: str) -> None:
    with pytest.raises(RuntimeError, match="model_not_found"):
        measure_answers(url, build_chat_request("unknown", stream=False), requests=1, connections=1)
