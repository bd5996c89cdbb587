"""Document of a log line: a structlog or stdlib call in the schema of the index. Pure."""

import traceback
from collections.abc import Mapping
from typing import Any, Final

from inferlog.context import Inference, name_error_type
from inferlog.event import (
    LABELS_LIMIT,
    STACK_TRACE_LIMIT_CHARACTERS,
    InvalidFieldError,
    build_document,
    check_value,
    to_label,
    to_label_name,
    to_redacted_text,
)

# Fields that a line shares with the event of its request, so that one search finds both.
_SHARED: Final = ("request_id", "correlation_id", "trace_id", "span_id", "model_name", "model_version")


def build_line(
    message: Any,
    *,
    level: str,
    logger: str,
    values: Mapping[str, Any],
    error: BaseException | None = None,
    inference: Inference | None = None,
) -> dict[str, Any]:
    """
    Return the line's document, without the fields that the recorder adds.

    A key of *values* that names an id or a model goes to its own field; every other key goes to ``labels``. So
    ``error="boom"`` becomes ``labels.error``: ``error`` is an object in the index, which rejects a document with text
    in that field.
    """
    fields = _select_shared_fields(inference)
    labels: dict[str, Any] = {}
    for name, value in values.items():
        if name in _SHARED and value is not None:
            try:
                fields[name] = check_value(name, value)
                continue
            except InvalidFieldError:
                pass  # kept as a label
        if len(labels) < LABELS_LIMIT:
            labels[to_label_name(str(name))] = to_label(str(name), value)
    if error is not None:
        fields.update(describe_error(error))
    return {
        "log": {"level": level, "logger": to_label_name(logger)},
        "message": to_redacted_text(message, STACK_TRACE_LIMIT_CHARACTERS),
        **build_document(fields, labels),
    }


def get_shared_fields(inference: Inference | None) -> dict[str, Any]:
    """Return the document of the fields that a line shares with *inference*: its ids, model and version."""
    return build_document(_select_shared_fields(inference))


def _select_shared_fields(inference: Inference | None) -> dict[str, Any]:
    if inference is None:
        return {}
    return {name: inference.fields[name] for name in _SHARED if name in inference.fields}


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return the ``error_*`` fields of an exception: type, redacted message and stack trace."""
    cause = error
    while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
        cause = cause.exceptions[0]  # a task group with one failure: its cause is more specific than "ExceptionGroup"
    return {
        "error_type": check_value("error_type", name_error_type(cause)),
        "error_message": check_value("error_message", cause),
        "error_stack_trace": check_value("error_stack_trace", _format_stack_trace(error)),
    }


def _format_stack_trace(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 (an exception of the service whose attributes raise)
        return "".join([*traceback.format_tb(error.__traceback__), name_error_type(error)])
