"""Recording: copies usage, times, content and errors of a request to its event, or nothing if logging is off."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import orjson

import inferlog
from inferlog_server.inference.generation import GenerationEnd, GenerationStart, Item, Message, Piece


class Recorder(Protocol):
    """Interface between the routes and the event of a request."""

    def bind(self, **fields: Any) -> None:
        """Add *fields* to the event; see `inferlog.bind_inference`."""
        ...

    def wrap_generation(
        self, items: AsyncGenerator[Item, None], messages: Sequence[Message], arrived: float
    ) -> AsyncGenerator[Piece | GenerationEnd, None]:
        """
        Yield the pieces of a generation and bind its figures to the event, however the generation ends.

        Args:
            items: Items of the generation.
            messages: Messages of the request. They go to the content stream with the response, if the service has
                enabled it.
            arrived: Arrival of the request on ``time.perf_counter``. The time to the first token counts from here, so
                it includes the queue.
        """
        ...


class LoggingRecorder:
    def bind(self, **fields: Any) -> None:
        """See `Recorder.bind`."""
        inferlog.bind_inference(**fields)

    async def wrap_generation(
        self, items: AsyncGenerator[Item, None], messages: Sequence[Message], arrived: float
    ) -> AsyncGenerator[Piece | GenerationEnd, None]:
        """See `Recorder.wrap_generation`."""
        known: dict[str, Any] = {}
        texts: list[str] = []
        admitted_at: float | None = None
        try:
            async with aclosing(items):
                async for item in items:
                    match item:
                        case GenerationStart():
                            admitted_at = time.perf_counter()
                            known |= {"queue_seconds": item.queue_seconds, "batch_size": item.batch_size}
                            continue
                        case Piece():
                            known.setdefault("time_to_first_token_seconds", time.perf_counter() - arrived)
                            known |= _to_event_fields(item)
                            texts.append(item.text)
                        case GenerationEnd():
                            known |= _to_event_fields(item)
                            known["model_latency_seconds"] = item.model_seconds
                            known["finish_reasons"] = [item.reason]
                    yield item
        finally:
            if admitted_at is not None:
                known.setdefault("model_latency_seconds", time.perf_counter() - admitted_at)
            self.bind(**known)
            if admitted_at is not None:
                inferlog.capture_content(input=_encode_conversation(messages), output="".join(texts))


class NullRecorder:
    """Recorder of a service without logging: records nothing."""

    def bind(self, **fields: Any) -> None:
        """Do nothing."""

    async def wrap_generation(
        self,
        items: AsyncGenerator[Item, None],
        messages: Sequence[Message],  # noqa: ARG002 (interface)
        arrived: float,  # noqa: ARG002 (interface)
    ) -> AsyncGenerator[Piece | GenerationEnd, None]:
        """Yield the pieces of a generation."""
        async with aclosing(items):
            async for item in items:
                if not isinstance(item, GenerationStart):
                    yield item


def _to_event_fields(item: Piece | GenerationEnd) -> dict[str, Any]:
    """Return the event's fields that *item* contains."""
    if item.usage is None:
        return {"model_version": item.version_name}
    return {
        "model_version": item.version_name,
        "input_tokens": item.usage.input_tokens,
        "output_tokens": item.usage.output_tokens,
    }


def _encode_conversation(messages: Sequence[Message]) -> str:
    return orjson.dumps([{"role": message.role, "content": message.text} for message in messages]).decode()
