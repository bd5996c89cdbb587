"""Paced client: a pause of the service delays all requests due meanwhile."""

import asyncio
import json
import time
from typing import ClassVar

import pytest

from benchmarks.chat_client import InstantServer
from benchmarks.paced_client import send_paced

RATE, SECONDS, STALL_SECONDS = 100.0, 3.0, 1.5


class Answers(InstantServer):
    """Tracks its connections, so that all are closed when the loop ends."""

    closed: ClassVar[list[asyncio.Future[None]]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed.append(self._closed)

    def connection_lost(self, _: Exception | None) -> None:
        self._closed.set_result(None)


class Stalls(Answers):
    """Pauses after the first request, then answers at once."""

    first_at: float | None = None

    def data_received(self, data: bytes) -> None:
        Stalls.first_at = first_at = self.first_at or time.perf_counter()
        wait_seconds = max(0.0, first_at + STALL_SECONDS - time.perf_counter())
        asyncio.get_running_loop().call_later(wait_seconds, super().data_received, data)


class Refuses(Answers):
    """Rejects every request."""

    _ANSWER = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\n{}"


def read_last_line(service: type[Answers], capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(service, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            await send_paced(url, RATE, round(RATE * SECONDS), "test")
            await asyncio.gather(*Answers.closed)
            Answers.closed.clear()

    asyncio.run(run())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["ended"] for line in lines] == [False] * (len(lines) - 1) + [True]
    for figure in ("p50_seconds", "p99_seconds"):
        lines[-1][figure] = max(line[figure] or 0.0 for line in lines)
    last: dict[str, float] = lines[-1]
    return last


def is_enough(requests: float) -> bool:
    """Requests still due when the time is over are not sent, so a slow machine may skip the last ones."""
    return 0.8 * RATE * SECONDS <= requests <= RATE * SECONDS


def test_send_paced_keeps_rate_and_counts_latency_from_due_time(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    line = read_last_line(Stalls, capsys)
    assert is_enough(line["sent"])
    assert line["answered"] == line["sent"]
    assert time.monotonic() - began >= SECONDS * 0.99
    assert line["p99_seconds"] > STALL_SECONDS * 0.7
    # There are 32 connections: counted from when they were sent, most requests would have taken no time.
    assert line["p50_seconds"] > 0.05


def test_error_response_does_not_count_as_answered(capsys: pytest.CaptureFixture[str]) -> None:
    line = read_last_line(Refuses, capsys)
    assert is_enough(line["failed"])
    assert (line["answered"], line["failed"]) == (0, line["sent"])
    assert "429" in str(line["why"])
