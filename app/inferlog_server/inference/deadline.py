"""A generation that must be complete in time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from inferlog_server.inference.errors import DeadlineExceededError
from inferlog_server.inference.generation import Item


async def before_deadline(items: AsyncGenerator[Item, None], *, deadline_seconds: float) -> AsyncGenerator[Item, None]:
    """
    Pass *items* on, and close them when they take too long.

    Only the time spent waiting for the model counts: a client that reads slowly is not cut off while
    pieces lie ready for it.

    Raises:
        DeadlineExceededError: If the next item has not come *deadline_seconds* after the first was asked for.
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
