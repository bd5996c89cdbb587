"""The answer of ``POST /v1/chat/completions``: one object, or a stream of chunks."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from inferlog_server.inference.generation import Finished, Usage

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatResponse:
    """
    What all objects of one answer have in common.

    Attributes:
        model: Which version answers, by its full name.
        fingerprint: Changes with the version's settings.
    """

    model: str
    fingerprint: str
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self, text: str, finished: Finished) -> bytes:
        """Return the whole answer at once."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": finished.reason,
        }
        return orjson.dumps(self._object("chat.completion", choices=[choice], **_usage(finished.usage)))

    def first_chunk(self) -> bytes:
        """Return the chunk that says who speaks."""
        return self._chunk([_choice({"role": "assistant", "content": ""})])

    def text_chunk(self, text: str) -> bytes:
        """Return a chunk with some more text."""
        return self._chunk([_choice({"content": text})])

    def last_chunks(self, finished: Finished, *, usage_apart: bool) -> bytes:
        """
        Return what ends the stream.

        The usage always comes last. Whoever asked for it gets it as OpenAI sends it, in a chunk without
        choices; for all others it is part of the finishing chunk, as clients that did not ask often
        read ``choices[0]`` of each.
        """
        end = [_choice({}, finished.reason)]
        usage = _usage(finished.usage)
        if usage and usage_apart:
            return self._chunk(end) + self._chunk([], **usage)
        return self._chunk(end, **usage)

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        return event(self._object("chat.completion.chunk", choices=choices, **more))

    def _object(self, kind: str, **more: Any) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            **more,
        }


def event(data: dict[str, Any]) -> bytes:
    """Return *data* as one server-sent event."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _usage(usage: Usage | None) -> dict[str, Any]:
    """Return the field ``usage``; none where nothing is known."""
    if usage is None:
        return {}
    counts = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
    return {"usage": counts}
