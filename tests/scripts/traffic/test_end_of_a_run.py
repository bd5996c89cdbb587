"""When a run ends, and what becomes of answers that have not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from inferlog_traffic.exchange import ROUTE
from tests.support import locust_runs
from tests.support.serving import serving


async def drip() -> AsyncIterator[bytes]:
    while True:
        yield b"."
        await asyncio.sleep(0.2)


async def answer(request: Request) -> StreamingResponse:
    """Begin an answer that never ends, and is never silent for long either."""
    await request.body()
    return StreamingResponse(drip())


def test_an_answer_that_drips_for_ever_is_abandoned(tmp_path: Path) -> None:
    with serving(Starlette(routes=[Route(ROUTE, answer, methods=["POST"])])) as url:
        options = ("--rate", 5, "--duration", 2, "--answer-timeout", 1, "SteadyChat")
        run = locust_runs.run(tmp_path, "--host", url, *options)
    assert run.requests == len(run.records) > 0, run.said
    assert {(record["outcome"], record["status_code"]) for record in run.records} == {("abandoned", 200)}
    assert all(record["ended_after_seconds"] < 30 for record in run.records)
