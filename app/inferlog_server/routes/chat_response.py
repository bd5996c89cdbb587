"""Response of ``POST /v1/chat/completions``: one object, or a stream of chunks."""

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from inferlog_server.inference.generation import GenerationEnd, Usage

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatResponse:
    """
    Fields that all objects of one response share.

    Attributes:
        model: Full name of the answering version.
        fingerprint: Fingerprint of the version's settings.
    """

    model: str
    fingerprint: str
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def build_completion(self, text: str, finished: GenerationEnd) -> bytes:
        """Return the whole response as one object."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": finished.reason,
        }
        return orjson.dumps(
            self._build_object("chat.completion", choices=[choice], **_build_usage_field(finished.usage))
        )

    def build_first_chunk(self) -> bytes:
        """Return the chunk with the role."""
        return self._build_chunk([_build_choice({"role": "assistant", "content": ""})])

    def build_text_chunk(self, text: str) -> bytes:
        return self._build_chunk([_build_choice({"content": text})])

    def build_last_chunks(self, finished: GenerationEnd, *, separate_usage: bool) -> bytes:
        """
        Return the chunks at the end of the stream, the usage last.

        Clients that requested the usage get it as OpenAI sends it, in a separate chunk without choices. Other clients
        get it in the chunk with the finish reason, because many of them read ``choices[0]`` of every chunk.
        """
        end = [_build_choice({}, finished.reason)]
        usage = _build_usage_field(finished.usage)
        if usage and separate_usage:
            return self._build_chunk(end) + self._build_chunk([], **usage)
        return self._build_chunk(end, **usage)

    def _build_chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        return encode_event(self._build_object("chat.completion.chunk", choices=choices, **more))

    def _build_object(self, kind: str, **more: Any) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            **more,
        }


def encode_event(data: dict[str, Any]) -> bytes:
    """Return *data* as one server-sent event."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _build_choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _build_usage_field(usage: Usage | None) -> dict[str, Any]:
    """Return the field ``usage``, or no field if the usage is unknown."""
    if usage is None:
        return {}
    counts = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
    return {"usage": counts}
