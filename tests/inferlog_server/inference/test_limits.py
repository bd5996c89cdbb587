"""The admission queue and the deadline of a generation."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from inferlog_server.inference.errors import DeadlineExceededError, QueueFullError
from inferlog_server.inference.generation import GenerationStart, Item
from inferlog_server.inference.limits import Admission, enforce_deadline


def test_admission_gives_slots_then_queues_then_rejects() -> None:
    async def scenario() -> None:
        admission = Admission(slots=2, waiting_limit=1)
        await admission.acquire()
        await admission.acquire()
        waiting = asyncio.create_task(admission.acquire())
        await asyncio.sleep(0)
        assert (admission.running_requests, admission.waiting_requests) == (2, 1)

        with pytest.raises(QueueFullError):
            await admission.acquire()
        admission.release()
        assert await waiting > 0
        assert (admission.running_requests, admission.waiting_requests) == (2, 0)
        admission.release()
        assert admission.running_requests == 1

    asyncio.run(scenario())


def test_admission_without_queue_still_gives_its_slots() -> None:
    async def scenario() -> None:
        admission = Admission(slots=1, waiting_limit=0)
        await admission.acquire()
        with pytest.raises(QueueFullError):
            await admission.acquire()
        admission.release()
        await admission.acquire()

    asyncio.run(scenario())


def test_admission_queue_shrinks_when_a_waiter_is_cancelled() -> None:
    async def scenario() -> None:
        admission = Admission(slots=1, waiting_limit=1)
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


def test_admission_gives_slots_in_order_of_arrival() -> None:
    async def scenario() -> list[int]:
        admission = Admission(slots=1, waiting_limit=10)
        served: list[int] = []

        async def visit(number: int) -> None:
            await admission.acquire()
            served.append(number)
            await asyncio.sleep(0)
            admission.release()

        await asyncio.gather(*(visit(number) for number in range(5)))
        return served

    assert asyncio.run(scenario()) == [0, 1, 2, 3, 4]


def test_admission_measures_the_wait() -> None:
    async def scenario() -> float:
        admission = Admission(slots=1, waiting_limit=1)
        await admission.acquire()
        asyncio.get_running_loop().call_later(0.05, admission.release)
        return await admission.acquire()

    assert 0.04 < asyncio.run(scenario()) < 5


ITEM = GenerationStart(queue_seconds=0)


class Source:
    """Yields items, each immediately or after a pause, and records whether it was closed."""

    def __init__(self, *pauses_seconds: float) -> None:
        self.pauses_seconds = pauses_seconds
        self.closed = False

    async def generate(self) -> AsyncGenerator[Item, None]:
        try:
            for pause_seconds in self.pauses_seconds:
                if pause_seconds:
                    await asyncio.sleep(pause_seconds)
                yield ITEM
        finally:
            self.closed = True


async def collect(source: Source, deadline_seconds: float, *, reader_seconds: float = 0) -> list[Item]:
    got = []
    async for item in enforce_deadline(source.generate(), deadline_seconds=deadline_seconds):
        got.append(item)
        await asyncio.sleep(reader_seconds)
    return got


def test_deadline_passes_items_that_are_in_time() -> None:
    source = Source(0, 0.01, 0)

    assert asyncio.run(collect(source, 5)) == [ITEM] * 3
    assert source.closed


def test_deadline_closes_the_source_when_an_item_is_late() -> None:
    source = Source(0, 60)

    with pytest.raises(DeadlineExceededError, match=r"within 0\.05 s"):
        asyncio.run(collect(source, 0.05))
    assert source.closed


def test_deadline_covers_all_items_together() -> None:
    source = Source(*[0.03] * 100)

    with pytest.raises(DeadlineExceededError):
        asyncio.run(collect(source, 0.2))
    assert source.closed


def test_deadline_includes_the_wait_for_a_slot() -> None:
    async def scenario() -> None:
        admission = Admission(slots=1, waiting_limit=1)
        await admission.acquire()

        async def items() -> AsyncGenerator[Item, None]:
            yield GenerationStart(queue_seconds=await admission.acquire())

        with pytest.raises(DeadlineExceededError):
            await anext(enforce_deadline(items(), deadline_seconds=0.05))
        assert admission.waiting_requests == 0

    asyncio.run(scenario())


def test_deadline_excludes_the_time_of_a_slow_reader() -> None:
    source = Source(0, 0, 0)

    assert asyncio.run(collect(source, 0.05, reader_seconds=0.06)) == [ITEM] * 3
