import asyncio

import pytest

from inferlog_server.inference.admission import Admission
from inferlog_server.inference.errors import QueueFullError


def test_places_are_given_at_once_then_the_queue_fills_then_it_is_full() -> None:
    async def scenario() -> None:
        admission = Admission(places=2, waiting_limit=1)
        await admission.acquire()
        await admission.acquire()
        waiting = asyncio.create_task(admission.acquire())
        await asyncio.sleep(0)
        assert (admission.running_requests, admission.waiting_requests) == (2, 1)

        with pytest.raises(QueueFullError):
            await admission.acquire()
        admission.release()
        assert await waiting >= 0
        assert (admission.running_requests, admission.waiting_requests) == (2, 0)
        admission.release()
        assert admission.running_requests == 1

    asyncio.run(scenario())


def test_a_queue_of_no_length_still_gives_its_places() -> None:
    async def scenario() -> None:
        admission = Admission(places=1, waiting_limit=0)
        await admission.acquire()
        with pytest.raises(QueueFullError):
            await admission.acquire()
        admission.release()
        await admission.acquire()

    asyncio.run(scenario())


def test_whoever_gives_up_waiting_leaves_the_queue() -> None:
    async def scenario() -> None:
        admission = Admission(places=1, waiting_limit=1)
        await admission.acquire()
        impatient = asyncio.create_task(admission.acquire())
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)

        next_one = asyncio.create_task(admission.acquire())
        await asyncio.sleep(0)
        admission.release()
        await next_one

    asyncio.run(scenario())


def test_places_are_given_in_the_order_of_arrival() -> None:
    async def scenario() -> list[int]:
        admission = Admission(places=1, waiting_limit=10)
        served: list[int] = []

        async def visit(number: int) -> None:
            await admission.acquire()
            served.append(number)
            await asyncio.sleep(0)
            admission.release()

        await asyncio.gather(*(visit(number) for number in range(5)))
        return served

    assert asyncio.run(scenario()) == [0, 1, 2, 3, 4]


def test_the_wait_is_measured() -> None:
    async def scenario() -> float:
        admission = Admission(places=1, waiting_limit=1)
        await admission.acquire()
        asyncio.get_running_loop().call_later(0.05, admission.release)
        return await admission.acquire()

    assert 0.04 < asyncio.run(scenario()) < 5
