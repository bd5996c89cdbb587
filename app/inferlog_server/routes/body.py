"""A request's body, bounded in size and in time."""

import asyncio

from starlette.requests import Request

from inferlog_server.routes.openai_error import OpenAIError


async def read_body(request: Request, *, limit_bytes: int, timeout_seconds: float) -> bytes:
    """
    Read the whole body.

    What is beyond the limit is read and forgotten: a client is still sending it, and would see a broken
    connection instead of the answer.

    Raises:
        OpenAIError: 413 if it has more than *limit_bytes*, 408 if it is not there after *timeout_seconds*.
        ClientDisconnect: If the client leaves before its end.
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
