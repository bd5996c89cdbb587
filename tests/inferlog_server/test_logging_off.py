"""The service without logging, the baseline of benchmarks/server.py: same responses, and no files."""

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.support.chat_server import MODEL, RunningServer, run_server

VERSIONS = [
    {"name": "v1", "simulated": {"first_token_median_seconds": 0, "token_median_seconds": 0}},
    {"name": "failing", "share": 0, "simulated": {"failure_share": 1}},
]


@pytest.fixture(scope="module")
def silent_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with run_server(tmp_path_factory.mktemp("silent"), backend="simulated", versions=VERSIONS, logging=False) as server:
        yield server


def read_text(response: httpx.Response) -> str:
    return str(response.json()["choices"][0]["message"]["content"])


def test_service_without_logging_answers_as_with_logging(silent_server: RunningServer) -> None:
    response = silent_server.ask(model=f"{MODEL}:v1")
    assert response.status_code == 200
    assert read_text(response).startswith("once there was")


def test_service_without_logging_streams_as_with_logging(silent_server: RunningServer) -> None:
    chunks = silent_server.build_client().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Tell a story."}], stream=True
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith("once there was")


def test_service_without_logging_reports_errors_as_with_logging(silent_server: RunningServer) -> None:
    assert silent_server.ask(max_tokens="many").status_code == 400
    failed = silent_server.ask(model=f"{MODEL}:failing")
    assert (failed.status_code, failed.json()["error"]["code"]) == (500, "model_failed")


def test_service_without_logging_sends_no_ids_and_writes_no_file(tmp_path: Path) -> None:
    opted_in = {"INFERLOG_CAPTURE_CONTENT": "true"}
    with run_server(tmp_path / "home", opted_in, backend="simulated", logging=False) as server:
        response = server.ask(headers={"x-correlation-id": "order-17"})
        assert server.terminate() == 0
    assert not {"x-request-id", "x-correlation-id"} & set(response.headers)
    assert list(server.home.rglob("*")) == []
