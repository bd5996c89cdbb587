"""The service conforms to its OpenAPI document for any request, and writes one event per request."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security import conformity
from tests.support.chat_server import RunningServer, run_server

_AT_ONCE = {"first_token_median_seconds": 0, "token_median_seconds": 0}
_VERSIONS = [{"name": "v1", "share": 3, "simulated": _AT_ONCE}, {"name": "v2", "share": 1, "simulated": _AT_ONCE}]
EXAMPLES = 25


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home: Path = tmp_path_factory.mktemp("conforming")
    with run_server(home, backend="simulated", versions=_VERSIONS) as server:
        yield server


def test_every_response_conforms_to_the_openapi_document(server: RunningServer) -> None:
    known = {"model": ["smollm2-135m-instruct", "smollm2-135m-instruct:v2", "none", "a/b", "\x00", "…"]}
    asked = {
        each.label: conformity.check(each, examples=EXAMPLES) for each in conformity.find_operations(server.url, known)
    }
    assert asked.keys() == {
        "POST /v1/chat/completions",
        "GET /v1/models",
        "GET /v1/models/{model}",
        "GET /healthz",
        "GET /readyz",
    }
    assert asked["POST /v1/chat/completions"] >= 2 * EXAMPLES
    server.terminate()
    lines = [line for path in (server.home / "logs").glob("events-*.jsonl") for line in path.read_bytes().splitlines()]
    events = [json.loads(line) for line in lines]
    asked_for_an_answer = [each for each in events if each["http"].get("route") == "/v1/chat/completions"]
    assert len(asked_for_an_answer) == asked["POST /v1/chat/completions"]
    assert {each["status"] for each in asked_for_an_answer} <= {"success", "rejected"}
