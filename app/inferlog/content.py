"""Prompts and answers, for those who have opted in: a stream of its own, never the event."""

from typing import Any

from inferlog.configuration import runtime
from inferlog.context import current_inference
from inferlog.event import free_text
from inferlog.line import shared_fields

_LIMIT_CHARACTERS = 32_000


def capture_content(*, input: Any = None, output: Any = None) -> None:  # noqa: A002 (OpenTelemetry's word)
    """
    Write what went into the model and what came out to the stream ``content``, tied to the request by its ids.

    Does nothing unless the setting ``capture_content`` (``INFERLOG_CAPTURE_CONTENT``) is on: the one switch for it.
    Credentials are taken out, and a text is cut at 32 000 characters.
    """
    recorder = runtime().content
    if recorder is None:
        return
    texts = {name: value for name, value in (("input", input), ("output", output)) if value is not None}
    inference = current_inference.get()
    recorder.record(
        shared_fields(inference)
        | {"gen_ai": {name: {"text": free_text(value, _LIMIT_CHARACTERS)} for name, value in texts.items()}}
    )
