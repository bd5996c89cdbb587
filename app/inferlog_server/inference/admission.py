"""How many requests run at once, how many may wait, and how long each waited."""

import asyncio
import time

from inferlog_server.inference.errors import QueueFullError


class Admission:
    """
    A bounded queue in front of a fixed number of places.

    Belongs to one event loop. Places are given in the order of arrival.
    """

    def __init__(self, *, places: int, waiting_limit: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._waiting_limit = waiting_limit
        self._waiting = 0
        self._running = 0

    @property
    def running_requests(self) -> int:
        """How many have a place."""
        return self._running

    @property
    def waiting_requests(self) -> int:
        """How many wait for a place."""
        return self._waiting

    async def acquire(self) -> float:
        """
        Wait for a place; whoever gets one calls `release` once.

        Returns:
            Seconds spent waiting.

        Raises:
            QueueFullError: At once, if as many wait already as may.
        """
        if self._places.locked() and self._waiting >= self._waiting_limit:
            raise QueueFullError(self._waiting)
        started = time.perf_counter()
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        self._running += 1
        return time.perf_counter() - started

    def release(self) -> None:
        """Give the place to the next in the queue."""
        self._running -= 1
        self._places.release()
