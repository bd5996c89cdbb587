"""What the request's event learns from a generation that passes by."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import inferlog
from inferlog_server.inference.generation import Admitted, Finished, Item, Piece
from inferlog_server.routes.openai_error import OpenAIError


async def recorded(items: AsyncGenerator[Item, None], *, arrived: float) -> AsyncGenerator[Piece | Finished, None]:
    """
    Pass the answer on and bind what *items* tell, whichever way they end.

    Args:
        items: A generation.
        arrived: When the request came in, on ``time.perf_counter``: the time to the first token is what
            the client waited, the queue included.
    """
    known: dict[str, Any] = {}
    admitted_at: float | None = None
    try:
        async with aclosing(items):
            async for item in items:
                match item:
                    case Admitted():
                        admitted_at = time.perf_counter()
                        known["queue_seconds"] = item.queue_seconds
                        continue
                    case Piece():
                        known.setdefault("time_to_first_token_seconds", time.perf_counter() - arrived)
                        known |= _tokens(item)
                    case Finished():
                        known |= _tokens(item)
                        known["model_latency_seconds"] = item.model_seconds
                        known["finish_reasons"] = [item.reason]
                yield item
    finally:
        if admitted_at is not None:
            known.setdefault("model_latency_seconds", time.perf_counter() - admitted_at)
        inferlog.bind_inference(**known)


def record_error(error: OpenAIError) -> None:
    """Bind why the request was not answered."""
    inferlog.bind_inference(error_type=error.code, error_message=error.message)


def _tokens(item: Piece | Finished) -> dict[str, int]:
    return {"input_tokens": item.usage.input_tokens, "output_tokens": item.usage.output_tokens}
