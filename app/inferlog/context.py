"""
The inference in flight: who has opened it, what has been said of it so far.

Inside a request the middleware owns it, elsewhere ``track_performance`` does; handlers, tasks and threads that run
in a copy of the context share the one object, so that what they bind stands in the one event.
"""

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final

from inferlog.event import CHECKS, LABELS_LIMIT, MESSAGE_LIMIT_CHARACTERS, free_text, label, label_name, status_and_code
from inferlog.internal_errors import warn_once

SUMMED: Final = ("input_tokens", "output_tokens", "model_latency_seconds", "cost_usd")
"""Fields of which several model calls in one request add up."""

_CHECKS: Final = {name: check for name, check in CHECKS.items() if name != "status"}
_CHAIN: Final = ("correlation_id", "trace_id", "span_id")
_FAILED: Final = frozenset({"rejected", "error"})


class Inference:
    """
    What is known so far of one inference.

    Attributes:
        fields: Checked values by the event's Python names.
        labels: What is bound besides.
        refused: What could not be taken, and why.
        traceparent: The caller's W3C header, if it sent a valid one.
        ended: Whether it takes no more calls: its event is being written, or it has none, as a WebSocket's connection.
            A task that outlives its request still finds the request's ids here.
        closed: Whether a value bound now is lost: its event is written, or has taken it over.
    """

    __slots__ = ("closed", "ended", "fields", "labels", "refused", "traceparent")

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.labels: dict[str, Any] | None = None
        self.refused: list[str] = []
        self.traceparent: str | None = None
        self.ended = False
        self.closed = False

    def state(self, values: Mapping[str, Any]) -> None:
        """Take what the service states; report a value that comes too late for the event, once for each field."""
        if self.closed:
            report_late(name for name, value in values.items() if value is not None)
        else:
            self.bind(values)

    def bind(self, values: Mapping[str, Any]) -> None:
        """
        Take *values* over those known.

        Unknown names become labels, None is no value, nonsense is refused and noted.
        """
        fields = self.fields
        for name, value in values.items():
            if value is None:
                continue
            check = _CHECKS.get(name)
            if check is not None:
                try:
                    fields[name] = check(value)
                except Exception as error:  # noqa: BLE001 (a tensor of two items raises RuntimeError as a number)
                    self.refused.append(f"{name}: {free_text(error, MESSAGE_LIMIT_CHARACTERS)}")
            elif name == "status":
                self._bind_status(value)
            elif name == "error":
                self.bind_error(value)
            else:
                self._bind_label(name, value)

    def bind_error(self, error: Any) -> None:
        """Note what failed: an exception, or a text."""
        if isinstance(error, BaseException):
            self.bind({"error_type": error_type(error), "error_message": error})
        else:
            self.bind({"error_message": error})

    def bind_exception(self, described: Mapping[str, Any]) -> None:
        """Note the ``error_*`` fields of an exception that has ended the inference. What the service states stays."""
        for name, value in described.items():
            self.fields.setdefault(name, value)

    def overrule(self, name: str, value: Any, because: str) -> None:
        """Set field *name* to the *value* that was observed, and report a different stated one, once for each name."""
        stated = self.fields.get(name)
        self.fields[name] = value
        if stated is not None and stated != value:
            warn_once(f"a stated {name} is not written: {because}", name, stated=stated, written=value)

    def identify(self, own_id: str, surrounding: "Inference | None") -> None:
        """Set the ids that are not stated: *own_id*, and those of the chain that *surrounding* belongs to."""
        fields = self.fields
        if surrounding is not None:
            for name in _CHAIN:
                if name in surrounding.fields:
                    fields.setdefault(name, surrounding.fields[name])
        if "request_id" not in fields:
            fields["request_id"] = own_id
        if "correlation_id" not in fields:
            fields["correlation_id"] = own_id

    def conclude(self) -> None:
        """Set the status of an inference that has ended without an exception, and the error's type where one is due."""
        fields = self.fields
        if "status" not in fields:
            fields["status"] = "error" if "error_type" in fields or "error_message" in fields else "success"
        if "http_response_status_code" in fields and fields["status"] in _FAILED:
            fields.setdefault("error_type", str(fields["http_response_status_code"]))

    def copy(self) -> "Inference":
        """Return another inference of which the same fields and labels are known, and the same was refused."""
        other = Inference.__new__(Inference)  # on the way of every tracked call: no containers made to be thrown away
        other.fields = self.fields.copy()
        other.labels = None if self.labels is None else self.labels.copy()
        other.refused = self.refused.copy()
        other.traceparent = None
        other.ended = other.closed = False
        return other

    def merge(self, part: "Inference", taken: Mapping[str, Any]) -> None:
        """
        Take the values of one of several model calls: tokens, seconds and cost add up, the rest replaces.

        Args:
            part: The call.
            taken: Fields that were taken when the call began: a statement made since then stays.
        """
        known = {name: value for name, value in part.fields.items() if taken.get(name) is not value}
        for name in SUMMED:
            if name in known and name in self.fields:
                self.bind({name: self.fields[name] + known.pop(name)})
        self.fields.update(known)
        self._take_the_rest(part)

    def include(self, later: "Inference") -> None:
        """Take the statements of *later* over those known: the last statement counts."""
        self.fields.update(later.fields)
        self._take_the_rest(later)

    def _take_the_rest(self, other: "Inference") -> None:
        if other.labels:
            self.labels = {**(self.labels or {}), **other.labels}
        self.refused += other.refused

    def _bind_status(self, value: Any) -> None:
        try:
            self.fields["status"], code = status_and_code(value)
        except Exception as error:  # noqa: BLE001 (as in bind)
            self.refused.append(f"status: {free_text(error, MESSAGE_LIMIT_CHARACTERS)}")
            return
        if code is not None:
            self.fields["http_response_status_code"] = code

    def _bind_label(self, name: str, value: Any) -> None:
        if self.labels is None:
            self.labels = {}
        if len(self.labels) < LABELS_LIMIT or name in self.labels:
            self.labels[label_name(name)] = label(name, value)
        else:
            self.refused.append(f"{name}: the event has {LABELS_LIMIT} labels already")


def report_late(names: Iterable[str]) -> None:
    """Log, once for each field, that a value of it came too late for the event."""
    for name in names:
        warn_once(_LATE, name if name in CHECKS or name == "error" else "labels")


_LATE: Final = (
    "a value was bound too late and is not in the event: "
    "bind it before the response or the tracked call ends, or record it by inferlog.record_inference()"
)

current_inference: Final[ContextVar[Inference | None]] = ContextVar("inferlog_current_inference", default=None)
"""The inference that the running code works for, or None outside of any."""

_ENDED_BY_IT: Final = "inferlog_inference"


def attach(error: BaseException, inference: Inference) -> None:
    """Note on *error* which inference it has ended, for those who handle it further out."""
    # Not by way of the exception's own class, which may let nobody set anything, or have no __dict__ to show.
    BaseException.__setattr__(error, _ENDED_BY_IT, inference)


def inference_at_hand() -> Inference | None:
    """
    Return the inference that the running code works for, else the one that the exception being handled has ended.

    A framework's last exception handler and the server both run outside of the middleware, and what they log of a
    request is most worth finding.
    """
    inference = current_inference.get()
    if inference is None:
        error = sys.exc_info()[1]
        if error is not None:
            with suppress(AttributeError):
                inference = BaseException.__getattribute__(error, _ENDED_BY_IT)
    return inference


def raised(name: str, error: BaseException) -> str:
    """Return what is noted of a service's callable that was to find *name*; what it says may quote who called."""
    said = "" if name == "client_id" else free_text(error, MESSAGE_LIMIT_CHARACTERS)
    return f"{name}: {error_type(error)}{said and ': '}{said}"


def error_type(error: BaseException) -> str:
    """Return the exception's qualified name, without the module for Python's own."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def bind_inference(**values: Any) -> None:
    """
    State what is known of the inference that the calling code works for.

    Fields of the event by their Python names (see docs/events.md), such as ``model_version="v3"``,
    ``input_tokens=12``, ``time_to_first_token_seconds=0.04``; ``error=exception``; any other name becomes a label.
    The last statement counts. A value that a field cannot mean is left out and named in the log.
    Inside a request the middleware's ``latency_seconds`` and status code win over stated ones, which is reported once.
    After the event is written, as in a background task, a value is lost; the first one of each field is named in a
    warning. Outside a request and outside ``track_performance`` there is no event to add to, which is reported once: a
    finished inference is recorded by :func:`inferlog.record_inference`.
    """
    inference = current_inference.get()
    if inference is not None:
        inference.state(values)
    else:
        warn_once(
            "bind_inference has no effect outside a request and outside track_performance; "
            "record a finished inference with inferlog.record_inference(…)"
        )
