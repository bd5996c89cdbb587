"""Load on services that answer, fail or hang."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.chaos import load
from tests.chaos.evidence import SentRequest, compute_p99_seconds, read_requests
from tests.support.serving import serve_handler

SENT_FOR_SECONDS = 0.05
ALL_TIME = (0.0, 1e12)


class Answering(BaseHTTPRequestHandler):
    """Answers with its status."""

    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_arguments: object) -> None:
        """Keep the test's output readable."""


class HangingUp(Answering):
    """Reads the request and ends the connection."""

    def do_POST(self) -> None:
        self.close_connection = True


class StandingStill(Answering):
    """Answers when the test is over."""

    over = threading.Event()

    def do_POST(self) -> None:
        self.over.wait(20)


def _send_requests(handler: type[Answering], file: Path) -> list[SentRequest]:
    """Return the load's records of some requests to a service with this *handler*."""

    async def run(url: str) -> None:
        with file.open("wb", buffering=0) as records:
            sender = load.Load(url, 100.0, records)
            asyncio.get_running_loop().call_later(SENT_FOR_SECONDS, sender.end)
            await sender.run()

    with serve_handler(handler) as url:
        asyncio.run(run(url))
    return read_requests(file)


@pytest.fixture
def over() -> Iterator[None]:
    StandingStill.over.clear()
    yield
    StandingStill.over.set()


@pytest.mark.parametrize("status", [200, 500, 429])
def test_only_status_200_counts_as_answered(status: int, tmp_path: Path) -> None:
    requests = _send_requests(type("Handler", (Answering,), {"status": status}), tmp_path / "requests.jsonl")
    assert {request.status_code for request in requests} == {status}
    assert {request.is_answered for request in requests} == {status == 200}
    assert (compute_p99_seconds(requests, *ALL_TIME) is None) == (status != 200)


def test_broken_connection_does_not_count_as_answered(tmp_path: Path) -> None:
    requests = _send_requests(HangingUp, tmp_path / "requests.jsonl")
    assert {request.status_code for request in requests} == {None}


@pytest.mark.usefixtures("over")
def test_open_request_is_abandoned_and_recorded_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_LAST_ANSWERS_SECONDS", 0.1)
    requests = _send_requests(StandingStill, tmp_path / "requests.jsonl")
    assert len(requests) >= 2
    assert {request.status_code for request in requests} == {None}
    assert max(request.latency_seconds for request in requests) < 10
