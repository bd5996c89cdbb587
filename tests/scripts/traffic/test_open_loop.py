"""Open loop: requests are sent when they are due, even if earlier ones are open, and latency counts from that time."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from inferlog_traffic.exchange import ROUTE
from tests.support import locust_runs
from tests.support.locust_runs import get_intended_at
from tests.support.polling import wait_until
from tests.support.serving import serve_app


@contextmanager
def serve(answer: Callable[[Request], Awaitable[Response]]) -> Iterator[str]:
    with serve_app(Starlette(routes=[Route(ROUTE, answer, methods=["POST"])])) as url:
        yield url


class Stalls:
    """A service that stalls for some time after the first request, then answers all requests immediately."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: float | None = None
        self.waiting_at_once = 0

    async def answer(self, request: Request) -> Response:
        await request.body()
        if self._until is None:
            self._until = time.monotonic() + self._seconds
        self.waiting_at_once += time.monotonic() < self._until
        await asyncio.sleep(max(0.0, self._until - time.monotonic()))
        return JSONResponse({})


def test_stalling_service_cannot_hide_its_queue(tmp_path: Path) -> None:
    """Callers that wait for responses would send only two requests during the stall. All due requests must be sent."""
    stalls = Stalls(seconds=2.0)
    options = ("--rate", 20, "--user-rate", 10, "--duration", 4, "--seed", 3, "SteadyChat")
    with serve(stalls.answer) as url:
        run = locust_runs.run(tmp_path, "--host", url, *options)
    assert run.returncode == 0, run.output
    assert stalls.waiting_at_once > 20
    first = get_intended_at(run.records[0])
    during = [record for record in run.records if get_intended_at(record) < first + 2.0]
    assert len(during) > 20
    for record in during:
        rest_of_the_stall = first + 2.0 - get_intended_at(record)
        assert record["ended_after_seconds"] >= rest_of_the_stall - 0.02


def test_latency_includes_a_delay_of_the_load_generator(tmp_path: Path) -> None:
    options = ("--rate", 20, "--user-rate", 2, "--duration", 6, "--seed", 3, "SteadyChat")
    with (
        serve(Stalls(seconds=0.0).answer) as url,
        locust_runs.begin(tmp_path, "--headless", "--host", url, *options) as process,
    ):
        wait_until(lambda: len(locust_runs.read_records(tmp_path)) > 10, 60, "the first records")
        os.kill(process.pid, signal.SIGSTOP)
        held_up_at = time.time()
        wait_until(lambda: time.time() > held_up_at + 1.5, what="a second and a half")
        os.kill(process.pid, signal.SIGCONT)
        run = locust_runs.finish(process, tmp_path)
    assert run.returncode == 0, run.output
    meanwhile = [r for r in run.records if held_up_at + 0.1 < get_intended_at(r) < held_up_at + 1.0]
    assert len(meanwhile) > 5, "due, though nobody was there to send them"
    for record in meanwhile:
        assert record["sent_after_seconds"] > 0.4
        assert record["ended_after_seconds"] > record["sent_after_seconds"]


class Silent:
    """A service that never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def answer(self, request: Request) -> Response:
        self.asked += 1
        with suppress(ClientDisconnect):
            await request.body()
            await request.receive()  # until the client disconnects
        return Response()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 1), (signal.SIGTERM, 143)])
def test_signal_ends_a_run_and_records_abandoned_requests(number: signal.Signals, status: int, tmp_path: Path) -> None:
    silent = Silent()
    with (
        serve(silent.answer) as url,
        locust_runs.begin(tmp_path, "--headless", "--host", url, "--rate", 20, "--answer-timeout", 60) as process,
    ):
        wait_until(lambda: silent.asked > 5, 60, "requests under way")
        process.send_signal(number)
        run = locust_runs.finish(process, tmp_path)
        wait_until(lambda: silent.asked >= len(run.records), what="the last of them to come in")
    assert run.returncode == status, run.output
    assert {(record["outcome"], record["status_code"]) for record in run.records} == {("abandoned", None)}
    assert run.requests == len(run.records) == silent.asked


async def drip() -> AsyncIterator[bytes]:
    while True:
        yield b"."
        await asyncio.sleep(0.2)


async def answer(request: Request) -> StreamingResponse:
    """Begin a response that never ends and never pauses for long."""
    await request.body()
    return StreamingResponse(drip())


def test_endless_response_is_abandoned(tmp_path: Path) -> None:
    with serve_app(Starlette(routes=[Route(ROUTE, answer, methods=["POST"])])) as url:
        options = ("--rate", 5, "--duration", 2, "--answer-timeout", 1, "SteadyChat")
        run = locust_runs.run(tmp_path, "--host", url, *options)
    assert run.requests == len(run.records) > 0, run.output
    assert {(record["outcome"], record["status_code"]) for record in run.records} == {("abandoned", 200)}
    assert all(record["ended_after_seconds"] < 30 for record in run.records)
