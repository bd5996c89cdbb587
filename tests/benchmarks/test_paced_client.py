"""The client at a fixed pace: a service that stops for a while makes late all that was due meanwhile."""

import asyncio
import json
import time

import pytest
from chat_client import AnswersAtOnce
from paced_client import paced

RATE, SECONDS, STALL_SECONDS = 100.0, 1.0, 0.4


class Stalls(AnswersAtOnce):
    """Answers at once, but for a while answers nothing."""

    stall_until = 0.0

    def data_received(self, data: bytes) -> None:
        wait_seconds = max(0.0, self.stall_until - time.perf_counter())
        asyncio.get_running_loop().call_later(wait_seconds, super().data_received, data)


class Refuses(AnswersAtOnce):
    """Has no place for anybody."""

    _ANSWER = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 2\r\n\r\n{}"


def last_line(service: type[AnswersAtOnce], capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(service, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            Stalls.stall_until = time.perf_counter() + STALL_SECONDS + 32 * 0.02
            await paced(url, RATE, round(RATE * SECONDS), "test")

    asyncio.run(run())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["ended"] for line in lines] == [False] * (len(lines) - 1) + [True]
    slowest = max(line["p99_seconds"] or 0.0 for line in lines)
    return lines[-1] | {"slowest_seconds": slowest}


def test_it_keeps_its_pace_and_counts_from_when_a_request_was_due(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    line = last_line(Stalls, capsys)
    assert line["sent"] == line["answered"] == RATE * SECONDS
    assert time.monotonic() - began >= SECONDS * 0.99
    assert line["slowest_seconds"] > STALL_SECONDS * 0.7


def test_a_refusal_is_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    line = last_line(Refuses, capsys)
    assert (line["answered"], line["failed"]) == (0, RATE * SECONDS)
    assert "429" in str(line["why"])
