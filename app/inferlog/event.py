"""
The event: what is known of one inference, as plain data with units.

Fields have flat Python names (``input_tokens``) and a place in the document (``gen_ai.usage.input_tokens``).
The table :data:`FIELDS` is the only list of them: checks, documents, docs and index mappings are held against it.
Pure: no clock, no settings, no I/O.
"""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, Literal, get_args
from uuid import UUID

from inferlog.correlation import usable_id
from inferlog.plain import LONG_MAX, scalar, text_form
from inferlog.redaction import REDACTED, names_a_secret, redact

Status = Literal["success", "rejected", "error", "cancelled"]
"""How an inference ended: answered; the caller's fault or asked to slow down; ours; the caller left."""

ACTION_AND_OUTCOME: Final[Mapping[Status, tuple[str, str]]] = {
    "success": ("inference_completed", "success"),
    "rejected": ("inference_rejected", "failure"),
    "error": ("inference_failed", "failure"),
    "cancelled": ("inference_cancelled", "unknown"),
}
"""``event.action`` and ``event.outcome`` (ECS) by status."""

STATUS_OF_ACTION: Final[Mapping[str, Status]] = {action: status for status, (action, _) in ACTION_AND_OUTCOME.items()}
"""The status that a log line states by its name, such as ``inference_completed``."""

# A keyword of more than 32 766 bytes is refused by Elasticsearch, and the event with it.
NAME_LIMIT_CHARACTERS: Final = 256
MESSAGE_LIMIT_CHARACTERS: Final = 2_000
STACK_TRACE_LIMIT_CHARACTERS: Final = 16_000
LABELS_LIMIT: Final = 64
NAMES_LIMIT: Final = 64
_CLIENT_CLOSED_REQUEST: Final = 499  # nginx's code for a caller who left
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime(2262, 1, 1, tzinfo=UTC)  # beyond, date_nanos of the index has no number


class InvalidFieldError(ValueError):
    """A value that its field cannot mean, such as a negative latency."""


def cut(text: str, limit_characters: int) -> str:
    """Return *text*, or its beginning and a note of how many characters are missing."""
    if len(text) <= limit_characters:
        return text
    return f"{text[:limit_characters]}… [{len(text) - limit_characters} characters cut]"


def whole_utf8(text: str) -> str:
    """Return *text* with lone surrogates replaced: JSON text may carry them, UTF-8 may not."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _name(value: Any) -> str:
    if type(value) is str and 0 < len(value) <= NAME_LIMIT_CHARACTERS and value.isascii():
        return value  # the way of nearly every value
    value = scalar(value)
    if not isinstance(value, str):
        raise InvalidFieldError(f"{value!r:.80} is of type {type(value).__name__}; expected text")
    if not value:
        raise InvalidFieldError("the text is empty; leave the field out where nothing is known")
    return cut(whole_utf8(str.__str__(value)), NAME_LIMIT_CHARACTERS)


def _id(value: Any) -> str:
    # It also stands in headers, of the response and of calls to other services.
    value = scalar(value)
    if not isinstance(value, str) or not usable_id(value):
        raise InvalidFieldError(f"{value!r:.80} is no id; expected 1 to 64 of A-Z a-z 0-9 . _ -")
    return value


def _names(value: Any) -> list[str]:
    value = scalar(value)
    names = [value] if isinstance(value, str) else list(islice(value, NAMES_LIMIT + 1))
    if len(names) > NAMES_LIMIT:
        names[NAMES_LIMIT] = f"(cut after {NAMES_LIMIT})"
    return list(map(_name, names))


def _caller(value: Any) -> str:
    # Whole, since it is hashed when the event is written; and never quoted, since it may be a credential.
    value = scalar(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, UUID)):
        raise InvalidFieldError(f"a value of type {type(value).__name__}; expected text, a whole number or a UUID")
    if value == "":
        raise InvalidFieldError("the text is empty; leave the field out where nothing is known")
    return value if isinstance(value, str) else str(value)


def free_text(value: Any, limit_characters: int) -> str:
    """Return *value* as text, a container as JSON: without credentials, cut at a limit that says so. Never raises."""
    try:
        text = whole_utf8(value if type(value) is str else text_form(value, 2 * limit_characters))
    except Exception:  # noqa: BLE001 (a value whose own __str__ raises must not break what is being logged)
        return f"<{type(value).__name__} without a text form>"
    if len(text) <= 2 * limit_characters:
        return cut(redact(text), limit_characters)
    # What is not read is not shown. The last word read may be half a credential, which redaction does not know.
    read = text[: 2 * limit_characters]
    whole_words = read[: max(read.rfind(" "), read.rfind("\n"), read.rfind("\t")) + 1] or read
    shown = redact(whole_words)[:limit_characters]
    return f"{shown}… [{len(text) - len(shown)} characters cut]"


def _message(value: Any) -> str:
    return free_text(value, MESSAGE_LIMIT_CHARACTERS)


def _stack_trace(value: Any) -> str:
    return free_text(value, STACK_TRACE_LIMIT_CHARACTERS)


def _count(value: Any) -> int:
    if type(value) is int and 0 <= value <= LONG_MAX:
        return value
    value = scalar(value)
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if isinstance(value, bool) or not 0 <= number <= LONG_MAX:
        raise InvalidFieldError(f"{value!r:.80} is no count; expected a whole number from 0")
    return number


def to_microunits(value: float) -> float:
    """Return *value*, at least 0 and below 1e9, with 6 decimals; half the cost of ``round``."""
    return int(value * 1e6 + 0.5) / 1e6


def _measure(value: Any) -> float:
    if type(value) is float and 0.0 <= value < 1e9:
        return to_microunits(value)
    value = scalar(value)
    try:
        number = -1.0 if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0.0 <= number < math.inf:
        raise InvalidFieldError(f"{value!r:.80} is no measure; expected a finite number from 0")
    return round(number, 6)


def _status(value: Any) -> Status:
    status, _ = status_and_code(value)
    return status


def status_and_code(value: Any) -> tuple[Status, int | None]:
    """
    Return the status that *value* states, and the HTTP status code if it is one: ``200``, ``"200"``, ``HTTPStatus.OK``.

    Raises:
        InvalidFieldError: If it is neither a word of :data:`Status` nor a code.
    """
    value = scalar(value)
    if isinstance(value, str):
        for status in ACTION_AND_OUTCOME:
            if value == status:
                return status, None
    try:
        code = _status_code(int(value) if isinstance(value, str) and value.isdecimal() else value)
    except (InvalidFieldError, TypeError):
        words = ", ".join(get_args(Status))
        raise InvalidFieldError(f"{value!r:.80} is not a status; expected one of {words}, or 100 to 599") from None
    return status_of_code(code), code


def status_of_code(code: int) -> Status:
    """Return how an inference ended that was answered with HTTP status *code*."""
    if code >= 500:
        return "error"
    if code == _CLIENT_CLOSED_REQUEST:
        return "cancelled"
    return "rejected" if code >= 400 else "success"


def _status_code(value: Any) -> int:
    number = _count(value)
    if not 100 <= number <= 599:
        raise InvalidFieldError(f"{number} is no HTTP status code; expected 100 to 599")
    return number


def _moment(value: Any) -> str:
    """Return a datetime, in local time if it has no zone, or Unix seconds, as ISO 8601 in UTC with microseconds."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromtimestamp(_measure(value), UTC)
        utc = moment.astimezone(UTC)
    except (InvalidFieldError, ValueError, OverflowError, OSError):
        utc = _NEVER
    if not _EPOCH <= utc < _NEVER:
        raise InvalidFieldError(f"{value!r:.80} is not a moment; expected a datetime or Unix seconds, 1970 to 2261")
    return f"{utc:%Y-%m-%dT%H:%M:%S.%f}Z"


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of the event.

    Attributes:
        place: Where it stands in the document, a name for each level.
        check: Returns the value as it is written; raises InvalidFieldError for a value it cannot mean.
    """

    place: tuple[str, ...]
    check: Callable[[Any], Any]


FIELDS: Final[Mapping[str, Field]] = {
    "request_id": Field(("request_id",), _id),
    "correlation_id": Field(("correlation_id",), _id),
    "trace_id": Field(("trace", "id"), _name),
    "span_id": Field(("span", "id"), _name),
    "model_name": Field(("model_name",), _name),
    "model_version": Field(("model_version",), _name),
    "status": Field(("status",), _status),
    "started_at": Field(("event", "start"), _moment),
    "latency_seconds": Field(("latency_seconds",), _measure),
    "time_to_first_token_seconds": Field(("time_to_first_token_seconds",), _measure),
    "queue_seconds": Field(("queue_seconds",), _measure),
    "in_flight": Field(("in_flight",), _count),
    "batch_size": Field(("batch_size",), _count),
    "model_latency_seconds": Field(("model_latency_seconds",), _measure),
    "cost_usd": Field(("cost_usd",), _measure),
    "operation_name": Field(("gen_ai", "operation", "name"), _name),
    "input_tokens": Field(("gen_ai", "usage", "input_tokens"), _count),
    "output_tokens": Field(("gen_ai", "usage", "output_tokens"), _count),
    "finish_reasons": Field(("gen_ai", "response", "finish_reasons"), _names),
    "http_route": Field(("http", "route"), _name),
    "http_request_method": Field(("http", "request", "method"), _name),
    "http_response_status_code": Field(("http", "response", "status_code"), _status_code),
    "client_id": Field(("client", "id"), _caller),
    "error_type": Field(("error", "type"), _name),
    "error_message": Field(("error", "message"), _message),
    "error_stack_trace": Field(("error", "stack_trace"), _stack_trace),
}
"""What a service may state of an inference. The recorder adds time, ids, sequence and service to each line."""

CHECKS: Final = {name: field.check for name, field in FIELDS.items()}
_PLACES_BELOW_TOP: Final = {name: field.place for name, field in FIELDS.items() if len(field.place) > 1}


def checked(name: str, value: Any) -> Any:
    """
    Return *value* as field *name* is written.

    Raises:
        InvalidFieldError: If the field cannot mean that; the message names field, value and what was expected.
    """
    try:
        return CHECKS[name](value)
    except (InvalidFieldError, TypeError) as error:
        raise InvalidFieldError(f"{name}: {error}") from error


def label(name: str, value: Any) -> str | int | float | bool:
    """Return *value* as a label is written: numbers as they are, everything else as redacted text, cut."""
    if names_a_secret(name):
        return REDACTED
    kind = type(value)
    if (kind is float and math.isfinite(value)) or kind is bool or (kind is int and -LONG_MAX <= value <= LONG_MAX):
        return value  # type: ignore[no-any-return]  # the way of nearly every number
    if kind is not str:
        value = scalar(value)
        if isinstance(value, (int, float)) and math.isfinite(value) and abs(value) <= LONG_MAX:
            return value
    return free_text(value, MESSAGE_LIMIT_CHARACTERS)


def label_name(name: str) -> str:
    """Return *name* as Elasticsearch takes it for a flattened key: printable and not empty."""
    printable = "".join(character if character.isprintable() else "_" for character in whole_utf8(name))
    return cut(printable, NAME_LIMIT_CHARACTERS) or "_"


def document(
    fields: Mapping[str, Any], labels: Mapping[str, Any] | None = None, head: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """
    Nest checked *fields* as the index has them, after the entries of *head*.

    A dot in the field catalogue is an object here: ``{"gen_ai": {"usage": {"input_tokens": 12}}}``.
    """
    nested: dict[str, Any] = dict(head) if head else {}
    for name, value in fields.items():
        place = _PLACES_BELOW_TOP.get(name)
        if place is None:
            nested[name] = value
        elif len(place) == 2:
            outer, inner = place
            if outer in nested:
                nested[outer][inner] = value
            else:
                nested[outer] = {inner: value}
        else:
            # Not setdefault, which makes a dict for each field: most of an event's fields are here.
            outer, middle, inner = place
            group = nested.get(outer)
            if group is None:
                nested[outer] = {middle: {inner: value}}
            elif middle in group:
                group[middle][inner] = value
            else:
                group[middle] = {inner: value}
    if labels:
        nested["labels"] = labels
    return nested
