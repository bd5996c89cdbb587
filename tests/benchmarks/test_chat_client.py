"""The benchmarks' own client: it times what it says it times, and does not take a refusal for an answer."""

import asyncio
from collections.abc import Iterator

import pytest

from benchmarks.chat_client import Answer, Connection, ask, chat_request
from tests.support.chat_server import MODEL, running_server

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
    with running_server(tmp_path_factory.mktemp("paced"), backend="simulated", versions=VERSIONS) as server:
        yield server.url


def answers(url: str, request: bytes, *, requests: int, connections: int) -> list[Answer]:
    async def asked() -> list[Answer]:
        opened = [await Connection.to(url) for _ in range(connections)]
        try:
            return await ask(opened, request, requests=requests)
        finally:
            for connection in opened:
                connection.close()

    return asyncio.run(asked())


def test_a_stream_s_first_token_is_told_from_its_end(url: str) -> None:
    for answer in answers(url, chat_request(MODEL, stream=True), requests=3, connections=1):
        assert answer.first_seconds >= FIRST_SECONDS
        assert answer.first_seconds + REST_SECONDS * 0.8 <= answer.whole_seconds


def test_a_whole_answer_comes_at_once(url: str) -> None:
    (answer,) = answers(url, chat_request(MODEL, stream=False), requests=1, connections=1)
    assert answer.whole_seconds >= FIRST_SECONDS + REST_SECONDS
    assert answer.whole_seconds - answer.first_seconds < REST_SECONDS / 2


def test_as_many_requests_are_made_as_were_asked_for(url: str) -> None:
    assert len(answers(url, chat_request(MODEL, stream=True), requests=7, connections=3)) == 7


def test_a_refusal_is_an_error(url: str) -> None:
    with pytest.raises(RuntimeError, match="model_not_found"):
        answers(url, chat_request("unknown", stream=False), requests=1, connections=1)
