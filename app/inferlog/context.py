"""
Current inference: its owner, and the values bound so far. Also the library's own warnings.

Inside a request the middleware owns it, elsewhere ``track_performance`` does. Handlers, tasks and threads that run in
a copy of the context share one object, so that all bound values are in one event.
"""

import inspect
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final

from inferlog.event import (
    CHECKS,
    LABELS_LIMIT,
    MESSAGE_LIMIT_CHARACTERS,
    parse_status,
    to_label,
    to_label_name,
    to_redacted_text,
)

SUMMED: Final = ("input_tokens", "output_tokens", "model_latency_seconds", "cost_usd")
"""Fields that are summed over the model calls of one request."""

_LOGGER: Final = logging.getLogger("inferlog")
_CHECKS: Final = {name: check for name, check in CHECKS.items() if name != "status"}
_CHAIN: Final = ("correlation_id", "trace_id", "span_id")
_FAILED: Final = frozenset({"rejected", "error"})

values_lock = threading.RLock()
"""
Held while a call adds its values to the inferences around it. Two threads of one request may do so at the same time,
and a sum is a read and a write. Reentrant: a signal handler or the finaliser of a stream may add values meanwhile.
"""


def _renew_lock() -> None:
    global values_lock  # noqa: PLW0603 (a thread that does not exist in the child may hold it)
    values_lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


class Inference:
    """
    State of one inference in progress.

    Args:
        fields: Checked values to begin with; owned by this object from now on.

    Attributes:
        fields: Checked values by the event's Python names.
        labels: Other bound values; None while there are none.
        rejected: Rejected values, each with the reason.
        traceparent: The caller's W3C header if valid, else None.
        ended: Whether no more calls can be added: its event is being written, or it has no event, as the connection of
            a WebSocket. A task that outlives its request still reads the request's ids here.
        has_calls: Whether tracked calls add their values to this one.
        closed: Whether a value bound now is lost, because the event is written or another event includes it.
        owner: The inference whose event includes this call; None if this one has its own event.
        parent: The owner, or the call between it and this one; None if no event takes this one's values any more.
    """

    __slots__ = ("closed", "ended", "fields", "has_calls", "labels", "owner", "parent", "rejected", "traceparent")

    def __init__(self, fields: dict[str, Any] | None = None) -> None:
        self.fields: dict[str, Any] = {} if fields is None else fields
        self.labels: dict[str, Any] | None = None
        self.rejected: list[str] = []
        self.traceparent: str | None = None
        self.ended = self.has_calls = self.closed = False
        self.owner: Inference | None = None
        self.parent: Inference | None = None

    def end(self) -> None:
        """Set :attr:`ended`, and wait for a call that is adding its values at this moment."""
        self.ended = True
        # A call sets has_calls before it reads `ended` and adds its values: so it sees `ended`, or is seen here.
        if self.has_calls:
            with values_lock:
                pass

    def state(self, values: Mapping[str, Any]) -> None:
        """Bind *values* from the service; warn about values too late for the event, once per field."""
        if self.closed:
            report_late(name for name, value in values.items() if value is not None)
        else:
            self.bind(values)

    def bind(self, values: Mapping[str, Any]) -> None:
        """
        Set *values*, replacing earlier ones.

        Unknown names become labels, None is ignored, and invalid values are added to :attr:`rejected`.
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
                    self.rejected.append(f"{name}: {to_redacted_text(error, MESSAGE_LIMIT_CHARACTERS)}")
            elif name == "status":
                self._bind_status(value)
            elif name == "error":
                self.bind_error(value)
            else:
                self._bind_label(name, value)

    def bind_result(self, name: str, find: Callable[[], Any]) -> None:
        """
        Bind the result of the user callback *find* as *name*, or record why it failed.

        The callback runs without an await, so that a CancelledError or GeneratorExit is its own and does not come from
        the event loop or the server. Only KeyboardInterrupt passes through.
        """
        try:
            self.bind({name: find()})
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 (a user callback; its exceptions must not reach the client)
            self.rejected.append(describe_callback_error(name, error))

    def bind_error(self, error: Any) -> None:
        """Set the error fields from an exception or a text."""
        if isinstance(error, BaseException):
            self.bind({"error_type": name_error_type(error), "error_message": error})
        else:
            self.bind({"error_message": error})

    def bind_exception(self, described: Mapping[str, Any]) -> None:
        """Set the ``error_*`` fields of an exception that ended the inference. Bound values win."""
        for name, value in described.items():
            self.fields.setdefault(name, value)

    def overrule(self, name: str, value: Any, because: str) -> None:
        """Set field *name* to the observed *value*; warn once per *name* if the service bound a different one."""
        stated = self.fields.get(name)
        self.fields[name] = value
        if stated is not None and stated != value:
            warn_once(f"a stated {name} is not written: {because}", name, stated=stated, written=value)

    def identify(self, own_id: str, surrounding: "Inference | None") -> None:
        """Set the ids that are not bound: *own_id*, and the chain's ids from *surrounding*."""
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
        """Set the status of an inference that ended without an exception, and the error type of a failure."""
        fields = self.fields
        if "status" not in fields:
            fields["status"] = "error" if "error_type" in fields or "error_message" in fields else "success"
        if "http_response_status_code" in fields and fields["status"] in _FAILED:
            fields.setdefault("error_type", str(fields["http_response_status_code"]))

    def include(self, later: "Inference") -> None:
        """Add the values of *later*, replacing earlier ones."""
        self.fields.update(later.fields)
        self._include_labels(later)
        self.rejected += later.rejected

    def merge(self, values: "Inference", before: Mapping[str, float]) -> None:
        """
        Add *values* of a call inside this inference.

        Args:
            values: Values of the call; its rejected ones are already in the list of the owner.
            before: The summed fields among them, each with the call's previous value; its increase is added.
        """
        for name, value in values.fields.items():
            if name in before:
                # A value bound here since then has replaced the sum; the call's own part remains the minimum.
                value = max(value, self.fields.get(name, 0) + value - before[name])  # noqa: PLW2901
                self.bind({name: value})
            else:
                self.fields[name] = value
        self._include_labels(values)

    def _include_labels(self, other: "Inference") -> None:
        for name, label in (other.labels or {}).items():
            if (labels := self._make_room(name)) is not None:
                labels[name] = label

    def _bind_status(self, value: Any) -> None:
        try:
            self.fields["status"], code = parse_status(value)
        except Exception as error:  # noqa: BLE001 (as in bind)
            self.rejected.append(f"status: {to_redacted_text(error, MESSAGE_LIMIT_CHARACTERS)}")
            return
        if code is not None:
            self.fields["http_response_status_code"] = code

    def _bind_label(self, name: str, value: Any) -> None:
        if (labels := self._make_room(name)) is not None:
            labels[to_label_name(name)] = to_label(name, value)

    def _make_room(self, name: str) -> dict[str, Any] | None:
        """Return the labels if label *name* can be set, else None."""
        if self.labels is None:
            self.labels = {}
        if len(self.labels) < LABELS_LIMIT or name in self.labels:
            return self.labels
        reason = f"{name}: the event already has {LABELS_LIMIT} labels"
        if self.rejected[-1:] != [reason]:  # the calls around this one share the list
            self.rejected.append(reason)
        return None


def report_late(names: Iterable[str]) -> None:
    """Warn, once per field, that a value was bound after the event was written."""
    for name in names:
        warn_once(_LATE, name if name in CHECKS or name == "error" else "labels")


_LATE: Final = (
    "a value was bound too late and is not in the event: "
    "bind it before the response or the tracked call ends, or call inferlog.record_inference()"
)

current_inference: Final[ContextVar[Inference | None]] = ContextVar("inferlog_current_inference", default=None)
"""Owner of the running code's event; None outside requests and tracked calls."""

current_call: Final[ContextVar[Inference | None]] = ContextVar("inferlog_current_call", default=None)
"""Innermost call of the running code that is part of another event; void inside a different current inference."""


def get_innermost() -> Inference | None:
    """Return the inference to which the running code states values: its innermost open call, else the current one."""
    owner, call = current_inference.get(), current_call.get()
    while call is not None and call.closed and call.owner is not None:
        call = call.parent  # a task that outlives a call belongs to the one around it
    return call if call is not None and not call.closed and owner in (None, call.owner) else owner


_ENDED_BY_IT: Final = "inferlog_inference"


def attach(error: BaseException, inference: Inference) -> None:
    """Attach *inference* to the *error* that ended it, for handlers outside the middleware."""
    # Bypasses the exception's class, which may reject attributes or hide __dict__.
    BaseException.__setattr__(error, _ENDED_BY_IT, inference)


def find_inference() -> Inference | None:
    """
    Return the current inference, else the one that the exception being handled has ended.

    A framework's last exception handler and the server run outside the middleware, and their log lines need the
    request's ids.
    """
    inference = current_inference.get()
    if inference is None:
        error = sys.exc_info()[1]
        if error is not None:
            with suppress(AttributeError):
                inference = BaseException.__getattribute__(error, _ENDED_BY_IT)
    return inference


def check_synchronous(name: str, callback: Callable[..., Any]) -> None:
    """
    Check that *callback*, passed as argument *name*, is not async.

    Raises:
        TypeError: If its result would have to be awaited.
    """
    if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(getattr(callback, "__call__", None)):  # noqa: B004 (an object's may be async)
        raise TypeError(f"{name} is an async function; expected a synchronous one")


def describe_callback_error(name: str, error: BaseException) -> str:
    """Describe the failure of a user callback for *name*; omit the message for ``client_id``, which it may contain."""
    message = "" if name == "client_id" else to_redacted_text(error, MESSAGE_LIMIT_CHARACTERS)
    return f"{name}: {name_error_type(error)}{message and ': '}{message}"


def name_error_type(error: BaseException) -> str:
    """Return the exception's qualified name, without the module for built-in ones."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def bind_inference(**values: Any) -> None:
    """
    Bind values to the current inference, inside a tracked call to this call.

    Takes the fields of the event by their Python names (see docs/events.md), such as ``model_version="v3"``,
    ``input_tokens=12``, ``time_to_first_token_seconds=0.04``; also ``error=exception``. Any other name becomes a label.
    The last value wins. An invalid value is omitted and named in the log.
    Inside a request, ``latency_seconds`` and status code of the middleware win over bound ones; this is logged once.
    A value bound after the event is written, as in a background task, is lost; a warning names the first one of each
    field. Outside a request and outside ``track_performance`` the call has no effect; this is logged once. Record a
    finished inference with :func:`inferlog.record_inference`.
    """
    inference = get_innermost()
    if inference is not None:
        inference.state(values)
    else:
        warn_once(
            "bind_inference has no effect outside a request and outside track_performance; "
            "record a finished inference with inferlog.record_inference(…)"
        )


_warned: set[tuple[str, str]] = set()


def log_failure(what: str, error: Exception) -> None:
    """Log that *what* has failed inside the instrumentation. Never raises: the service must not notice."""
    try:  # noqa: SIM105 (suppress is a function of Python, which cannot be called at the limit of the recursion)
        _LOGGER.warning("inferlog.failed: %s", what, exc_info=error)
    except Exception:  # noqa: BLE001, S110 (as above)
        pass


def warn_once(message: str, about: str = "", **details: object) -> None:
    """
    Log *message* as a warning, the first time for the same *about* since :func:`forget_warnings`. Never raises.

    Args:
        message: One sentence with the cause and the call that fixes it.
        about: Subject of the warning, such as a field name; each subject is logged once.
        **details: Labels of the line, from the first occurrence.
    """
    if (message, about) in _warned:
        return
    _warned.add((message, about))
    with suppress(Exception):
        _LOGGER.warning(message, extra=({"about": about} if about else {}) | details)


def forget_warnings() -> None:
    """Reset :func:`warn_once`, because a new configuration starts a new log."""
    _warned.clear()
