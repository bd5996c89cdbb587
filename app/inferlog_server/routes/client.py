"""The client of a request: its body, bounded in size and time, and its disconnect."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from inferlog_server.routes.errors import OpenAIError


async def read_body(request: Request, *, limit_bytes: int, timeout_seconds: float) -> bytes:
    """
    Read the whole body.

    Bytes beyond the limit are read and discarded: a client that is still sending would otherwise see a broken
    connection instead of the response.

    Raises:
        OpenAIError: 413 if the body has more than *limit_bytes*, 408 if it takes longer than *timeout_seconds*.
        ClientDisconnect: If the client disconnects before the end of the body.
    """
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= limit_bytes:
                    chunks.append(chunk)
    except TimeoutError:
        if size <= limit_bytes:
            raise OpenAIError(
                status=408,
                message=f"The request's body was not complete after {timeout_seconds:g} s",
                code="request_timeout",
            ) from None
    if size > limit_bytes:
        raise OpenAIError(
            status=413,
            message=f"The request's body is larger than {limit_bytes} bytes",
            code="request_too_large",
        )
    return b"".join(chunks)


@asynccontextmanager
async def stop_when_client_leaves(receive: Receive) -> AsyncIterator[None]:
    """
    Run the block, and cancel it as soon as the client closes its connection.

    Args:
        receive: Receive function of a request whose body has been read.

    Raises:
        ClientDisconnect: If the client disconnected.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (every coroutine runs in one)
    is_disconnected = False

    async def watch() -> None:
        nonlocal is_disconnected
        while (await receive())["type"] != "http.disconnect":
            pass
        is_disconnected = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        # A shutdown at the same time as a disconnect has priority.
        if not is_disconnected or task.uncancel() > 0:
            raise
        raise ClientDisconnect from None
    finally:
        watcher.cancel()
