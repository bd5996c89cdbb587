"""A log line that is not an event: what a structlog or stdlib call says, in a form the index takes. Pure."""

import traceback
from collections.abc import Mapping
from typing import Any, Final

from inferlog.context import Inference, error_type
from inferlog.event import (
    LABELS_LIMIT,
    STACK_TRACE_LIMIT_CHARACTERS,
    InvalidFieldError,
    checked,
    document,
    free_text,
    label,
    label_name,
)

# What a line has in common with the event of its request, so that one id, or one version, finds both.
_SHARED: Final = ("request_id", "correlation_id", "trace_id", "span_id", "model_name", "model_version")


def line_document(
    message: Any,
    *,
    level: str,
    logger: str,
    values: Mapping[str, Any],
    error: BaseException | None = None,
    inference: Inference | None = None,
) -> dict[str, Any]:
    """
    Return the line's document, without what the recorder adds.

    A key of *values* that names an id or a model goes to its own field; every other key goes to ``labels``. So
    ``error="boom"`` is ``labels.error``: ``error`` is an object in the index, and a text in its place would have the
    whole line refused.
    """
    fields = _shared(inference)
    labels: dict[str, Any] = {}
    for name, value in values.items():
        if name in _SHARED and value is not None:
            try:
                fields[name] = checked(name, value)
                continue
            except InvalidFieldError:
                pass  # it stays visible, as a label
        if len(labels) < LABELS_LIMIT:
            labels[label_name(str(name))] = label(str(name), value)
    if error is not None:
        fields.update(describe_error(error))
    return {
        "log": {"level": level, "logger": label_name(logger)},
        "message": free_text(message, STACK_TRACE_LIMIT_CHARACTERS),
        **document(fields, labels),
    }


def shared_fields(inference: Inference | None) -> dict[str, Any]:
    """Return the document of what any line has in common with *inference*: its ids, model and version."""
    return document(_shared(inference))


def _shared(inference: Inference | None) -> dict[str, Any]:
    if inference is None:
        return {}
    return {name: inference.fields[name] for name in _SHARED if name in inference.fields}


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return the ``error_*`` fields of an exception: its type, its redacted message, where it was raised."""
    cause = error
    while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
        cause = cause.exceptions[0]  # a task group of one that failed: "ExceptionGroup" would say nothing
    return {
        "error_type": checked("error_type", error_type(cause)),
        "error_message": checked("error_message", cause),
        "error_stack_trace": checked("error_stack_trace", "".join(traceback.format_exception(error))),
    }
