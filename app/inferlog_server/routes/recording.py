"""What the request's event learns from a generation that passes by."""

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import orjson

import inferlog
from inferlog_server.inference.generation import Admitted, Finished, Item, Message, Piece
from inferlog_server.routes.openai_error import OpenAIError

Record = Callable[[AsyncGenerator[Item, None], Sequence[Message], float], AsyncGenerator[Piece | Finished, None]]
"""Passes an answer on: `recorded`, or `unrecorded` in a service that writes no events."""


async def recorded(
    items: AsyncGenerator[Item, None], messages: Sequence[Message], arrived: float
) -> AsyncGenerator[Piece | Finished, None]:
    """
    Pass the answer on and bind what *items* tell, whichever way they end.

    Args:
        items: A generation.
        messages: What it answers. Written with the answer, to their own stream, if the service has opted in.
        arrived: When the request came in, on ``time.perf_counter``: the time to the first token is what
            the client waited, the queue included.
    """
    known: dict[str, Any] = {}
    texts: list[str] = []
    admitted_at: float | None = None
    try:
        async with aclosing(items):
            async for item in items:
                match item:
                    case Admitted():
                        admitted_at = time.perf_counter()
                        known |= {"queue_seconds": item.queue_seconds, "batch_size": item.batch_size}
                        continue
                    case Piece():
                        known.setdefault("time_to_first_token_seconds", time.perf_counter() - arrived)
                        known |= _stated(item)
                        texts.append(item.text)
                    case Finished():
                        known |= _stated(item)
                        known["model_latency_seconds"] = item.model_seconds
                        known["finish_reasons"] = [item.reason]
                yield item
    finally:
        if admitted_at is not None:
            known.setdefault("model_latency_seconds", time.perf_counter() - admitted_at)
        inferlog.bind_inference(**known)
        if admitted_at is not None:
            inferlog.capture_content(input=_conversation(messages), output="".join(texts))


async def unrecorded(
    items: AsyncGenerator[Item, None], _messages: Sequence[Message], _arrived: float
) -> AsyncGenerator[Piece | Finished, None]:
    """Pass the answer on and bind nothing."""
    async with aclosing(items):
        async for item in items:
            if not isinstance(item, Admitted):
                yield item


def record_error(error: OpenAIError) -> None:
    """Bind why the request was not answered."""
    inferlog.bind_inference(error_type=error.code, error_message=error.recorded_message)


def _stated(item: Piece | Finished) -> dict[str, Any]:
    """Return what *item* says of the event's fields; None where it says nothing."""
    if item.usage is None:
        return {"model_version": item.version_name}
    return {
        "model_version": item.version_name,
        "input_tokens": item.usage.input_tokens,
        "output_tokens": item.usage.output_tokens,
    }


def _conversation(messages: Sequence[Message]) -> str:
    return orjson.dumps([{"role": message.role, "content": message.text} for message in messages]).decode()
