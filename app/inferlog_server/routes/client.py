"""Clients that go away before they are answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


@asynccontextmanager
async def until_client_leaves(receive: Receive) -> AsyncIterator[None]:
    """
    Run the block, and end it as soon as the client closes its connection.

    Args:
        receive: The request's, its body already read.

    Raises:
        ClientDisconnect: If the client left.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (every coroutine runs in one)
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        # Both at once, a client that left and a service that stops: then the service stops.
        if not gone or task.uncancel() > 0:
            raise
        raise ClientDisconnect from None
    finally:
        watcher.cancel()


class NoResponse(Response):
    """Nothing at all, for a client that is no longer there to receive it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send nothing."""
