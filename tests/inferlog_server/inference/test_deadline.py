import asyncio
from collections.abc import AsyncGenerator

import pytest

from inferlog_server.inference.admission import Admission
from inferlog_server.inference.deadline import before_deadline
from inferlog_server.inference.errors import DeadlineExceededError
from inferlog_server.inference.generation import Admitted, Item

ITEM = Admitted(queue_seconds=0)


class Source:
    """Yields items, each at once or after a pause, and remembers whether it was closed."""

    def __init__(self, *pauses_seconds: float) -> None:
        self.pauses_seconds = pauses_seconds
        self.closed = False

    async def items(self) -> AsyncGenerator[Item, None]:
        try:
            for pause_seconds in self.pauses_seconds:
                if pause_seconds:
                    await asyncio.sleep(pause_seconds)
                yield ITEM
        finally:
            self.closed = True


async def collected(source: Source, deadline_seconds: float, *, reader_seconds: float = 0) -> list[Item]:
    got = []
    async for item in before_deadline(source.items(), deadline_seconds=deadline_seconds):
        got.append(item)
        await asyncio.sleep(reader_seconds)
    return got


def test_what_comes_in_time_passes() -> None:
    source = Source(0, 0.01, 0)

    assert asyncio.run(collected(source, 5)) == [ITEM] * 3
    assert source.closed


def test_what_comes_too_late_is_closed() -> None:
    source = Source(0, 60)

    with pytest.raises(DeadlineExceededError, match=r"within 0\.05 s"):
        asyncio.run(collected(source, 0.05))
    assert source.closed


def test_many_items_that_are_each_in_time_are_too_late_together() -> None:
    source = Source(*[0.03] * 100)

    with pytest.raises(DeadlineExceededError):
        asyncio.run(collected(source, 0.2))
    assert source.closed


def test_the_wait_for_a_place_counts() -> None:
    async def scenario() -> None:
        admission = Admission(places=1, waiting_limit=1)
        await admission.acquire()

        async def items() -> AsyncGenerator[Item, None]:
            yield Admitted(queue_seconds=await admission.acquire())

        with pytest.raises(DeadlineExceededError):
            await anext(before_deadline(items(), deadline_seconds=0.05))
        assert admission.waiting_requests == 0

    asyncio.run(scenario())


def test_a_slow_reader_is_not_the_models_fault() -> None:
    source = Source(0, 0, 0)

    assert asyncio.run(collected(source, 0.05, reader_seconds=0.06)) == [ITEM] * 3
