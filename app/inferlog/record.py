"""Records written explicitly by the service: finished inferences, prompts and answers."""

from datetime import datetime
from typing import Any, Final

from inferlog.configuration import get_runtime
from inferlog.context import Inference, current_inference, log_failure
from inferlog.event import Status, to_redacted_text
from inferlog.line import get_shared_fields
from inferlog.recorder import unwritten_events
from inferlog.runtime import build_inference

_CONTENT_LIMIT_CHARACTERS: Final = 32_000


def record_inference(
    *,
    model_version: str | None = None,
    latency_seconds: float | None = None,
    status: Status | int | None = None,
    status_code: int | None = None,
    error: BaseException | str | None = None,
    started_at: datetime | float | None = None,
    model_name: str | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    **values: Any,
) -> None:
    """
    Write the event of a finished inference, such as one of a batch job, a gateway callback or a stream consumer.

        inferlog.record_inference(model_version="v3", latency_seconds=0.84, status=200, output_tokens=40)

    Never raises: an invalid value is omitted and named in the log. Inside a request this is a separate event with the
    request's correlation id; the request's own event does not change.

    Args:
        model_version: Version of the model; metrics are split by it.
        latency_seconds: From the first byte received to the last byte sent, in seconds, at least 0.
        status: ``"success"``, ``"rejected"``, ``"error"``, ``"cancelled"``, or an HTTP status code: up to 399 is a
            success, 499 cancelled, any other 4xx rejected, 5xx an error. Default: an error if *error* is set, else a
            success.
        status_code: The HTTP status code, if *status* is a word or omitted.
        error: Cause of the failure, an exception or a text.
        started_at: Start of the inference: a datetime (local time if it has no zone) or Unix seconds. Written as
            ``event.start``; ``@timestamp`` is the time of this call.
        model_name: Name of the model.
        input_tokens: Number of input tokens, as counted by the model.
        output_tokens: Number of output tokens, as counted by the model.
        **values: Other fields of the event by their Python names (docs/events.md), such as ``request_id``,
            ``time_to_first_token_seconds``, ``cost_usd``; any other name becomes a label.
    """
    inference: Inference | None = None
    try:
        inference = build_inference(
            {
                "model_version": model_version,
                "latency_seconds": latency_seconds,
                "status": status,
                "error": error,
                "started_at": started_at,
                "model_name": model_name,
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                **values,
                **({} if status_code is None else {"status_code": status_code}),
            }
        )
        get_runtime().record_finished(inference, current_inference.get())
    except BaseException as failure:
        if inference is None or not inference.closed:
            unwritten_events.append(type(failure).__name__)
        if not isinstance(failure, Exception):
            raise  # of a signal handler, as by Ctrl-C
        # A failure to log must not affect the service.
        log_failure("the event of a finished inference", failure)


def capture_content(*, input: Any = None, output: Any = None) -> None:  # noqa: A002 (OpenTelemetry's word)
    """
    Write a prompt and an answer to the separate stream ``content``, linked to the request by its ids.

    Does nothing unless the setting ``capture_content`` (``INFERLOG_CAPTURE_CONTENT``) is on, the only opt-in.
    Credentials are redacted, and a text is cut at 32 000 characters. Never part of the event. Never raises.
    """
    try:
        recorder = get_runtime().content
        if recorder is None:
            return
        texts = {name: value for name, value in (("input", input), ("output", output)) if value is not None}
        inference = current_inference.get()
        recorder.record(
            get_shared_fields(inference)
            | {
                "gen_ai": {
                    name: {"text": to_redacted_text(value, _CONTENT_LIMIT_CHARACTERS)} for name, value in texts.items()
                }
            }
        )
    except Exception as failure:  # noqa: BLE001 (a failure to log must not affect the service)
        log_failure("a content line", failure)
