"""
Event schema: the fields of one inference, with units, checks and their path in the document.

Fields have flat Python names (``input_tokens``) and a path in the document (``gen_ai.usage.input_tokens``).
The table :data:`FIELDS` is the only list of them: checks, documents, docs and index mappings are tested against it.
Pure: no clock, no settings, no I/O.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, Literal, get_args
from uuid import UUID

from inferlog.plain import LONG_MAX, to_scalar, to_text
from inferlog.redaction import REDACTED, is_secret_name, redact, redact_name

Status = Literal["success", "rejected", "error", "cancelled"]
"""Outcome of an inference: answered; caller error or rate limit; service error; caller disconnected."""

ACTION_AND_OUTCOME: Final[Mapping[Status, tuple[str, str]]] = {
    "success": ("inference_completed", "success"),
    "rejected": ("inference_rejected", "failure"),
    "error": ("inference_failed", "failure"),
    "cancelled": ("inference_cancelled", "unknown"),
}
"""``event.action`` and ``event.outcome`` (ECS) by status."""

STATUS_OF_ACTION: Final[Mapping[str, Status]] = {action: status for status, (action, _) in ACTION_AND_OUTCOME.items()}
"""Status by the name of a log line, such as ``inference_completed``."""

# Elasticsearch rejects a document with a keyword of more than 32 766 bytes.
NAME_LIMIT_CHARACTERS: Final = 256
MESSAGE_LIMIT_CHARACTERS: Final = 2_000
STACK_TRACE_LIMIT_CHARACTERS: Final = 16_000
COUNT_MAX: Final = 10**12
"""Highest count. A sentinel such as ``sys.maxsize`` would make the sum of all versions' tokens overflow."""
MEASURE_LIMIT: Final = 1e9
"""Exclusive limit of a measure: 31 years in seconds."""
LABELS_LIMIT: Final = 64
NAMES_LIMIT: Final = 64
_QUOTE_LIMIT_CHARACTERS: Final = 80
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_STATUS_CODES: Final = range(100, 600)
_CLIENT_CLOSED_REQUEST: Final = 499  # nginx's code for a client that disconnected
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime(2262, 1, 1, tzinfo=UTC)  # the end of the index's date_nanos range


class InvalidFieldError(ValueError):
    """An invalid value of a field, such as a negative latency."""


def cut(text: str, limit_characters: int) -> str:
    """Return *text*, cut to *limit_characters* with a note of the number of characters removed."""
    if len(text) <= limit_characters:
        return text
    return f"{text[:limit_characters]}… [{len(text) - limit_characters} characters cut]"


def to_utf8(text: str) -> str:
    """Return *text* with lone surrogates replaced, which JSON allows and UTF-8 does not."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _quote(value: Any) -> str:
    """Return *value* for an error message; redacted before it is cut, because half a credential is not recognised."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 (a value whose __repr__ raises)
        return f"<{type(value).__name__}>"
    return cut(to_redacted_text(text, MESSAGE_LIMIT_CHARACTERS), _QUOTE_LIMIT_CHARACTERS)


def _check_name(value: Any) -> str:
    if type(value) is str and 0 < len(value) <= NAME_LIMIT_CHARACTERS and value.isascii():
        return value  # fast path of nearly every value
    value = to_scalar(value)
    if not isinstance(value, str):
        raise InvalidFieldError(f"{_quote(value)} is of type {type(value).__name__}; expected text")
    if not value:
        raise InvalidFieldError("the text is empty; omit the field when the value is unknown")
    return cut(to_utf8(str.__str__(value)), NAME_LIMIT_CHARACTERS)


def is_valid_id(value: str) -> bool:
    """Return whether *value* can be a request or correlation id: 1 to 64 of ``A-Z a-z 0-9 . _ -``."""
    return _ID.fullmatch(value) is not None


def _check_id(value: Any) -> str:
    # Ids are also sent in headers, of the response and of calls to other services.
    value = to_scalar(value)
    if not isinstance(value, str) or not is_valid_id(value):
        raise InvalidFieldError(f"{_quote(value)} is not a valid id; expected 1 to 64 of A-Z a-z 0-9 . _ -")
    return value


def _check_names(value: Any) -> list[str]:
    if type(value) is list and len(value) == 1:
        return [_check_name(value[0])]  # fast path of nearly every value
    value = to_scalar(value)
    names = [value] if isinstance(value, str) else list(islice(value, NAMES_LIMIT + 1))
    if len(names) > NAMES_LIMIT:
        names[NAMES_LIMIT] = f"(cut after {NAMES_LIMIT})"
    return list(map(_check_name, names))


def _check_caller(value: Any) -> str:
    # Uncut, because it is hashed when the event is written; never quoted, because it may be a credential.
    value = to_scalar(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, UUID)):
        raise InvalidFieldError(f"a value of type {type(value).__name__}; expected text, a whole number or a UUID")
    if value == "":
        raise InvalidFieldError("the text is empty; omit the field when the value is unknown")
    return value if isinstance(value, str) else str(value)


def to_redacted_text(value: Any, limit_characters: int) -> str:
    """Return *value* as redacted text, a container as JSON, cut to *limit_characters* with a note. Never raises."""
    try:
        text = to_utf8(value if type(value) is str else to_text(value, 2 * limit_characters))
    except Exception:  # noqa: BLE001 (a value whose __str__ raises must not break the log call)
        return f"<{type(value).__name__} without a text form>"
    if len(text) <= 2 * limit_characters:
        return cut(redact(text), limit_characters)
    # Only scanned text is written. The last word may be half a credential, which redaction does not recognise.
    read = text[: 2 * limit_characters]
    whole_words = read[: max(read.rfind(" "), read.rfind("\n"), read.rfind("\t")) + 1] or read
    shown = redact(whole_words)[:limit_characters]
    return f"{shown}… [{len(text) - len(shown)} characters cut]"


def _check_message(value: Any) -> str:
    return to_redacted_text(value, MESSAGE_LIMIT_CHARACTERS)


def _check_stack_trace(value: Any) -> str:
    return to_redacted_text(value, STACK_TRACE_LIMIT_CHARACTERS)


def _check_count(value: Any) -> int:
    if type(value) is int and 0 <= value <= COUNT_MAX:
        return value
    value = to_scalar(value)
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if isinstance(value, bool) or not 0 <= number <= COUNT_MAX:
        raise InvalidFieldError(
            f"{_quote(value)} is not a valid count; expected a whole number from 0 to {COUNT_MAX:,}"
        )
    return number


def to_microunits(value: float) -> float:
    """Return *value*, at least 0 and below 1e9, with 6 decimals; half the cost of ``round``."""
    return (value * 1e6 + 0.5) // 1.0 / 1e6


def _check_measure(value: Any) -> float:
    if type(value) is float and 0.0 <= value < MEASURE_LIMIT:
        return (value * 1e6 + 0.5) // 1.0 / 1e6  # to_microunits, without the call
    number = _to_number(value)
    if not 0.0 <= number < MEASURE_LIMIT:
        raise InvalidFieldError(
            f"{_quote(value)} is not a valid measurement; expected a number from 0, below {MEASURE_LIMIT:,.0f}"
        )
    return round(number, 6)


def _to_number(value: Any) -> float:
    """Return *value* as a number; NaN if it is not one."""
    value = to_scalar(value)
    try:
        return math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _check_status(value: Any) -> Status:
    status, _ = parse_status(value)
    return status


def parse_status(value: Any) -> tuple[Status, int | None]:
    """
    Return the status for *value*, and the HTTP status code if it is one: ``200``, ``"200"``, ``HTTPStatus.OK``.

    Raises:
        InvalidFieldError: If it is neither a :data:`Status` nor a status code.
    """
    value = to_scalar(value)
    if isinstance(value, str):
        for status in ACTION_AND_OUTCOME:
            if value == status:
                return status, None
    try:
        code = _check_status_code(int(value) if isinstance(value, str) and value.isdecimal() else value)
    except (InvalidFieldError, TypeError):
        words = ", ".join(get_args(Status))
        raise InvalidFieldError(f"{_quote(value)} is not a status; expected one of {words}, or 100 to 599") from None
    return classify_status_code(code), code


def classify_status_code(code: int) -> Status:
    """Return the status of an inference whose response has HTTP status *code*."""
    if code >= 500:
        return "error"
    if code == _CLIENT_CLOSED_REQUEST:
        return "cancelled"
    return "rejected" if code >= 400 else "success"


def _check_status_code(value: Any) -> int:
    number = to_scalar(value)
    if type(number) is not int or number not in _STATUS_CODES:
        raise InvalidFieldError(f"{_quote(value)} is not a valid HTTP status code; expected 100 to 599")
    return number


def _check_moment(value: Any) -> str:
    """Return a datetime, in local time if it has no zone, or Unix seconds, as ISO 8601 in UTC with microseconds."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromtimestamp(round(_to_number(value), 6), UTC)
        utc = moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        utc = _NEVER
    if not _EPOCH <= utc < _NEVER:
        raise InvalidFieldError(f"{_quote(value)} is not a moment; expected a datetime or Unix seconds, 1970 to 2261")
    return f"{utc:%Y-%m-%dT%H:%M:%S.%f}Z"


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of the event.

    Attributes:
        path: Keys from the top of the document to the value.
        check: Returns the value in its written form; raises InvalidFieldError if it is invalid.
    """

    path: tuple[str, ...]
    check: Callable[[Any], Any]


FIELDS: Final[Mapping[str, Field]] = {
    "request_id": Field(("request_id",), _check_id),
    "correlation_id": Field(("correlation_id",), _check_id),
    "trace_id": Field(("trace", "id"), _check_name),
    "span_id": Field(("span", "id"), _check_name),
    "model_name": Field(("model_name",), _check_name),
    "model_version": Field(("model_version",), _check_name),
    "status": Field(("status",), _check_status),
    "started_at": Field(("event", "start"), _check_moment),
    "latency_seconds": Field(("latency_seconds",), _check_measure),
    "time_to_first_token_seconds": Field(("time_to_first_token_seconds",), _check_measure),
    "queue_seconds": Field(("queue_seconds",), _check_measure),
    "in_flight": Field(("in_flight",), _check_count),
    "batch_size": Field(("batch_size",), _check_count),
    "model_latency_seconds": Field(("model_latency_seconds",), _check_measure),
    "cost_usd": Field(("cost_usd",), _check_measure),
    "operation_name": Field(("gen_ai", "operation", "name"), _check_name),
    "input_tokens": Field(("gen_ai", "usage", "input_tokens"), _check_count),
    "output_tokens": Field(("gen_ai", "usage", "output_tokens"), _check_count),
    "finish_reasons": Field(("gen_ai", "response", "finish_reasons"), _check_names),
    "http_route": Field(("http", "route"), _check_name),
    "http_request_method": Field(("http", "request", "method"), _check_name),
    "http_response_status_code": Field(("http", "response", "status_code"), _check_status_code),
    "client_id": Field(("client", "id"), _check_caller),
    "error_type": Field(("error", "type"), _check_name),
    "error_message": Field(("error", "message"), _check_message),
    "error_stack_trace": Field(("error", "stack_trace"), _check_stack_trace),
}
"""Fields that a service can bind. The recorder adds time, ids, sequence and service to each line."""

CHECKS: Final = {name: field.check for name, field in FIELDS.items()}


def check_value(name: str, value: Any) -> Any:
    """
    Return *value* in the written form of field *name*.

    Raises:
        InvalidFieldError: If the value is invalid; the message names the field, the value and the expected form.
    """
    try:
        return CHECKS[name](value)
    except (InvalidFieldError, TypeError) as error:
        raise InvalidFieldError(f"{name}: {error}") from error


def to_label(name: str, value: Any) -> str | int | float | bool:
    """Return *value* as a label: numbers unchanged, everything else as redacted text, cut to the limit."""
    if is_secret_name(name):
        return REDACTED
    kind = type(value)
    if (kind is float and math.isfinite(value)) or kind is bool or (kind is int and -LONG_MAX <= value <= LONG_MAX):
        return value  # type: ignore[no-any-return]  # fast path of nearly every number
    if kind is not str:
        value = to_scalar(value)
        if isinstance(value, int) and -LONG_MAX <= value <= LONG_MAX:
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
    return to_redacted_text(value, MESSAGE_LIMIT_CHARACTERS)


def to_label_name(name: str) -> str:
    """Return *name*, redacted, as a valid key of a flattened field in Elasticsearch: printable and not empty."""
    printable = redact_name(to_utf8(name))
    if not printable.isprintable():
        printable = "".join(character if character.isprintable() else "_" for character in printable)
    return cut(printable, NAME_LIMIT_CHARACTERS) or "_"


def build_document(fields: Mapping[str, Any], labels: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """
    Nest checked *fields* as in the index.

    A dot in the field catalogue becomes an object: ``{"gen_ai": {"usage": {"input_tokens": 12}}}``.
    """
    document: dict[str, Any] = {}
    for name, value in fields.items():
        _nest(document, FIELDS[name].path, value)
    if labels:
        document["labels"] = labels
    return document


def _nest(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *groups, key = path
    for group in groups:
        document = document.setdefault(group, {})
    document[key] = value


class EventLayout:
    """
    Document of all events that have the same status and fields. Its keys are sorted, so that its JSON is canonical.

    It is filled again for each event: assigning the values costs a third of building the nested objects, and of an
    event's cost that was the largest part. Its owner serialises it before the next event.

    Args:
        status: Status of the events.
        names: Names of the fields; ``labels`` is one of them, if the events have any.
        constants: Parts that are the same in each event, by their path.
    """

    def __init__(self, status: Status, names: Iterable[str], constants: Mapping[tuple[str, ...], Any]) -> None:
        action, outcome = ACTION_AND_OUTCOME[status]
        constants = {**constants, ("status",): status, ("event", "action"): action, ("event", "outcome"): outcome}
        paths = {name: FIELDS[name].path if name in FIELDS else (name,) for name in names if name != "status"}
        self._document: dict[str, Any] = {}
        for path in sorted([*constants, *paths.values(), ("event", "id"), ("event", "sequence")]):
            _nest(self._document, path, constants.get(path))
        self._event = self._document["event"]
        self._slots = [(self._find_group(path), path[-1], name) for name, path in paths.items()]

    def fill(self, fields: Mapping[str, Any], event_id: str, sequence: int) -> dict[str, Any]:
        """Return the document of *fields*. It is valid until the next call."""
        for group, key, name in self._slots:
            group[key] = fields[name]
        event = self._event
        event["id"], event["sequence"] = event_id, sequence
        return self._document

    def _find_group(self, path: tuple[str, ...]) -> dict[str, Any]:
        group = self._document
        for key in path[:-1]:
            group = group[key]
        return group
