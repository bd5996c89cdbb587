"""
Detection of the first token and the end of a model's stream. Pure.

Reads plain text, server-sent events, and the chunks of the OpenAI and Anthropic APIs, as dicts or objects.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

# A stream that starts with one of these consists of server-sent events; a keep-alive comment has a space.
_SSE_PREFIXES: Final = ("data:", "event:", "id:", "retry:", ": ")
_DELTA: Final = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call", "audio")
_ANTHROPIC_DELTA: Final = ("text", "partial_json", "thinking")
_ANTHROPIC_EVENTS: Final = frozenset(
    {"message_start", "content_block_stop", "message_delta", "message_stop", "ping", "error"}
)
_DONE: Final = re.compile(rb"[\r\n]data: ?\[DONE\]\s*\Z")
_DONE_WINDOW_BYTES: Final = 32


FirstToken = Callable[[Any], bool]
"""Returns whether an item of a stream is its first token; called with each item until then."""


def has_content(item: Any) -> bool:
    """
    Return whether *item* of a stream contains a part of the answer. True for an unknown kind of item.

    None, empty text, empty containers, and chunks with only a role, usage or status have no content. Content is
    text, reasoning, a refusal or a tool call.

    Raises:
        Exception: Any exception of the item's attributes.
    """
    if isinstance(item, str):
        return _has_content_in_text(item)
    if isinstance(item, (bytes, bytearray)):
        return _has_content_in_text(item.decode("utf-8", "replace"))
    if item is None or (isinstance(item, (Mapping, list, tuple)) and not item):
        return False
    return _has_content_in_chunk(item)


def is_done(item: Any) -> bool:
    """Return whether *item* of a stream ends with ``data: [DONE]``, after which an OpenAI client stops reading."""
    if isinstance(item, str):
        item = item[-_DONE_WINDOW_BYTES:].encode("utf-8", "replace")
    if not isinstance(item, bytes):
        return False
    mark = DoneMark()
    mark.take(item)
    return mark.seen


class DoneMark:
    """
    Finds ``data: [DONE]`` at the end of a response's bytes, across part boundaries.

    Attributes:
        seen: Whether a part has ended with it.
    """

    __slots__ = ("_window", "seen")

    def __init__(self) -> None:
        self._window = b"\n"
        self.seen = False

    def take(self, part: bytes | bytearray | memoryview) -> None:
        """Scan the next *part*."""
        self._window = window = (self._window + part[-_DONE_WINDOW_BYTES:])[-_DONE_WINDOW_BYTES:]
        if b"[DONE]" in window and _DONE.search(window):
            self.seen = True


def _has_content_in_text(text: str) -> bool:
    if not text.startswith(_SSE_PREFIXES):
        return bool(text)
    return any(_has_content_in_data(line[5:].strip()) for line in text.splitlines() if line.startswith("data:"))


def _has_content_in_data(data: str) -> bool:
    if not data.startswith("{"):
        return data not in ("", "[DONE]")
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        return True  # the start of a longer event
    return has_content(chunk)


def _has_content_in_chunk(chunk: Any) -> bool:
    choices = _get(chunk, "choices")
    if isinstance(choices, (list, tuple)):
        return any(map(_has_content_in_choice, choices))
    kind = _get(chunk, "type")
    if isinstance(kind, str):
        return _has_content_in_event(kind, chunk)
    return _has_content_in_delta(chunk) if isinstance(_get(chunk, "role"), str) else True


def _has_content_in_choice(choice: Any) -> bool:
    delta = _get(choice, "delta")
    if delta is not None:
        return _has_content_in_delta(delta)
    return bool(_get(choice, "text")) or _get(choice, "message") is not None


def _has_content_in_delta(delta: Any) -> bool:
    return any(_get(delta, name) for name in _DELTA)


def _has_content_in_event(kind: str, event: Any) -> bool:
    if kind.startswith("response."):  # OpenAI's Responses API
        return kind.endswith(".delta") and bool(_get(event, "delta"))
    if kind == "content_block_start":
        return bool(_get(_get(event, "content_block"), "name"))  # a tool call
    if kind == "content_block_delta":
        delta = _get(event, "delta")
        return any(_get(delta, name) for name in _ANTHROPIC_DELTA)
    return kind not in _ANTHROPIC_EVENTS


def _get(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, Mapping) else getattr(item, name, None)
