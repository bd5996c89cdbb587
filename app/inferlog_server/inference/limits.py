"""Limits on generations: a bounded queue in front of the model, and a deadline for each answer."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from inferlog_server.inference.errors import DeadlineExceededError, QueueFullError
from inferlog_server.inference.generation import Item


class Admission:
    """A bounded first-in, first-out queue in front of a fixed number of slots, for one event loop."""

    def __init__(self, *, slots: int, waiting_limit: int) -> None:
        self._slots = asyncio.Semaphore(slots)
        self._waiting_limit = waiting_limit
        self._waiting = 0
        self._running = 0

    @property
    def running_requests(self) -> int:
        """Number of requests that hold a slot."""
        return self._running

    @property
    def waiting_requests(self) -> int:
        """Number of requests in the queue."""
        return self._waiting

    async def acquire(self) -> float:
        """
        Wait for a slot. The caller must call `release` once for each slot.

        Returns:
            Seconds in the queue.

        Raises:
            QueueFullError: Immediately, if the queue is full.
        """
        if self._slots.locked() and self._waiting >= self._waiting_limit:
            raise QueueFullError(self._waiting)
        started = time.perf_counter()
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._running += 1
        return time.perf_counter() - started

    def release(self) -> None:
        """Pass the slot on to the next request in the queue."""
        self._running -= 1
        self._slots.release()


async def enforce_deadline(items: AsyncGenerator[Item, None], *, deadline_seconds: float) -> AsyncGenerator[Item, None]:
    """
    Yield *items*, and close them if they take too long.

    The deadline applies only while this waits for an item: a client that reads slowly still gets the pieces that are
    ready.

    Raises:
        DeadlineExceededError: If the next item does not arrive within *deadline_seconds* of the first request for one.
    """
    deadline = asyncio.get_running_loop().time() + deadline_seconds
    async with aclosing(items):
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise DeadlineExceededError(deadline_seconds) from None
            yield item
