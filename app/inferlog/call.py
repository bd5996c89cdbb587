"""One timed call of a model: from its start to its event, or to its part of a surrounding event."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Final, Self

from inferlog import context
from inferlog.configuration import get_runtime
from inferlog.context import (
    SUMMED,
    Inference,
    current_call,
    current_inference,
    describe_callback_error,
    get_innermost,
    log_failure,
    report_late,
)
from inferlog.event import CHECKS, InvalidFieldError, to_label_name, to_microunits
from inferlog.line import describe_error
from inferlog.recorder import unwritten_events
from inferlog.streams import FirstToken, has_content, is_done

# Python 3.11 calls a method of a module's own name in a third of the time of an imported name's.
_current: Final = current_inference
_current_call: Final = current_call
_NOTHING: Final = object()
_AT_THE_END: Final = frozenset({*SUMMED, "latency_seconds"})
"""Fields of the decorator that a surrounding event gets at the end of the call, because they are summed over calls."""
_NO_NAMES: Final[frozenset[str]] = frozenset()

FromResult = Mapping[str, Callable[[Any], Any]]
"""Callbacks by field name that extract values from the result."""


class Call(Inference):
    """
    One timed call: an inference that has its own event, or adds its values to a surrounding one.

    ``with call:`` encloses the code of the call: its bound values and log lines belong to the call, and an exception
    that leaves the block ends the call. Otherwise the call ends with :meth:`finish`.

    A value that the code states replaces the call's own one and is added to the surrounding event immediately, because
    that event may be written before the call ends. Values of the decorator, its callbacks and the clock count for the
    fields that the code has not stated.

    Args:
        known: Values known beforehand.
        name: ``gen_ai.operation.name`` of a call with its own event.
        from_result: Callbacks that extract values from the result.
        separate: Write a separate event even inside a request or another call.
        first_token: Returns whether an item of a stream is its first token.

    Attributes:
        closed_early: Whether it is a stream that was closed before its end.
    """

    __slots__ = (
        "_at_end",
        "_first_token",
        "_from_inside",
        "_from_result",
        "_late",
        "_name",
        "_result",
        "_separate",
        "_started",
        "_token",
        "_written",
        "closed_early",
    )

    def __init__(
        self,
        known: Inference,
        name: str | None,
        from_result: FromResult,
        separate: bool,
        first_token: FirstToken = has_content,
    ) -> None:
        Inference.__init__(self, known.fields.copy())  # super() would cost as much as the rest of this method
        if known.labels:
            self.labels = known.labels.copy()
        if known.rejected:
            self.rejected += known.rejected
        self._name = name
        self._from_result = from_result
        self._separate = separate
        self._first_token = first_token
        self._result: Any = _NOTHING
        self._token: Token[Inference | None] | None = None
        self._from_inside = self._written = _NO_NAMES
        self.closed_early = False

    def begin(self) -> Self:
        """Start the clock, inside the surrounding request or call."""
        surrounding = _current.get()
        # A task that outlives its request gets its own event: the request's event is already written.
        if surrounding is None or self._separate or surrounding.ended:
            self._assign_ids(surrounding)
        else:
            self.owner = surrounding
            self._join(surrounding)
        self._started = time.perf_counter()
        return self

    def resume(self) -> Self:
        """Make this call current for the code that runs next: its ``bind_inference`` and log lines."""
        self._token = _current.set(self) if self.owner is None else _current_call.set(self)
        return self

    __enter__ = resume

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.pause()
        if error is not None:
            self.finish(error)

    def pause(self) -> None:
        """Undo :meth:`resume`."""
        token, self._token = self._token, None
        if token is not None:
            try:  # noqa: SIM105 (hot path, where suppress costs more than the rest)
                token.var.reset(token)
            except ValueError:
                pass  # the block was entered in another thread, as in a yielding dependency: nothing to undo

    def take_item(self, item: Any) -> None:
        """Record the next item of a stream."""
        self._result = item
        fields = self.fields
        if "time_to_first_token_seconds" not in fields:
            elapsed_seconds = time.perf_counter() - self._started
            if self._is_first_token(item):
                seconds = fields["time_to_first_token_seconds"] = to_microunits(elapsed_seconds)
                around = self.parent
                while around is not None:
                    around.fields.setdefault("time_to_first_token_seconds", seconds)  # a stated one counts
                    around = around.parent

    def state(self, values: Mapping[str, Any]) -> None:
        """Bind *values* from the service to this call and to all that includes it."""
        if self.closed or self._is_alone():
            Inference.state(self, values)
        else:
            stated = Inference()
            stated.bind(values)
            self.include(stated)

    def include(self, later: Inference) -> None:
        """Add the values of *later* to this call, replacing earlier ones, and to all that includes it."""
        with context.values_lock:
            self._detach_from_written_event()
            self._include(later)

    def merge(self, values: Inference, before: Mapping[str, float]) -> None:
        """Add *values* of a call inside this one; note which fields and labels have only such values."""
        inside = {*values.fields, *(values.labels or ())} - self.fields.keys()
        self._from_inside = self._from_inside.union(inside.difference(self.labels or ()))
        Inference.merge(self, values, before)

    def finish(self, error: BaseException | None = None, result: Any = _NOTHING) -> None:
        """
        Write the event, or add the values to the event of the surrounding request. Never raises.

        Args:
            error: Exception that ended the call.
            result: Returned value; a stream uses its last item instead.
        """
        try:
            elapsed_seconds = to_microunits(time.perf_counter() - self._started)
            if self._from_result:
                self._extract_from_result(self._result if result is _NOTHING else result)
            if self.owner is None:
                self._write(error, elapsed_seconds)
            else:
                self._finish_inside(self.owner, error, elapsed_seconds)
        except Exception as failure:  # noqa: BLE001 (a failure to log must not change a result, nor hide its error)
            if self.parent is None and not self.closed:
                unwritten_events.append(type(failure).__name__)
            log_failure("the event of a call", failure)
        self._result = _NOTHING

    def _join(self, owner: Inference) -> None:
        """Become a part of the event of *owner*, which gets the known values now: it may end before this call."""
        owner.has_calls = True
        self.parent = get_innermost()
        self._at_end = {name: self.fields.pop(name) for name in _AT_THE_END if name in self.fields}
        owner.rejected += self.rejected
        self.rejected = owner.rejected
        with context.values_lock:
            self._pass_on(self, {})

    def _pass_on(self, values: Inference, before: Mapping[str, float]) -> None:
        around = self.parent
        while around is not None:
            around.merge(values, before)
            around = around.parent

    def _finish_inside(self, owner: Inference, error: BaseException | None, elapsed_seconds: float) -> None:
        """Add the sums to the event of *owner*; if that is written, write the call's own."""
        at_end = self._at_end
        with context.values_lock:
            self._detach_from_written_event()
            if self.parent is not None:
                stated = self.fields.pop("latency_seconds", None)
                if stated is not None and not self._is_stated("model_latency_seconds"):
                    self._include(Inference({"model_latency_seconds": stated}))
                seconds = at_end.pop("latency_seconds", elapsed_seconds)
                self._include_unstated({"model_latency_seconds": seconds, **at_end})
                self.closed = True
        if self.closed:
            return
        if self.closed_early:
            # The request has abandoned its stream, and its event records that.
            report_late([*at_end, *self._late])
            self.closed = True
        else:
            self._add(at_end)
            self._assign_ids(owner)
            self._write(error, elapsed_seconds)

    def _detach_from_written_event(self) -> None:
        """Separate the call from a surrounding event that is already written; the values in it are not repeated."""
        if self.parent is not None and self.owner is not None and self.owner.ended:
            self.parent = None
            self._late: list[str] = []
            self.rejected = []
            self._written = frozenset(name for name in SUMMED if self._is_stated(name))
            for name in (*SUMMED, "request_id"):
                self.fields.pop(name, None)

    def _reject(self, reason: str) -> None:
        with context.values_lock:
            self._detach_from_written_event()
            self.rejected.append(reason)

    def _is_alone(self) -> bool:
        """Return whether no other inference has values of this one, and it has none of calls inside it."""
        return self.owner is None and not self._from_inside

    def _is_stated(self, name: str) -> bool:
        """Return whether the code of this call has stated *name*, or a constant of the decorator does."""
        if name == "error":
            name = "error_message"
        if name in self.fields:
            return name not in self._from_inside
        label = to_label_name(name)
        return name in self._written or (label in (self.labels or ()) and label not in self._from_inside)

    def _select_unstated(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if not self._is_stated(name)}

    def _add(self, values: Mapping[str, Any]) -> None:
        """Add *values* of the decorator, its callbacks and the clock that are not stated, to those of calls inside."""
        if self._is_alone():
            self.bind(self._select_unstated(values))
            return
        with context.values_lock:
            self._detach_from_written_event()
            self._include_unstated(values)

    def _include(self, later: Inference) -> None:
        """
        Include *later* under the lock.

        Does not read `ended` again: a request that begins to end meanwhile waits for the lock, and has the values.
        """
        fields = later.fields
        before: dict[str, float] = {name: self.fields.get(name, 0) for name in SUMMED if name in fields}
        Inference.include(self, later)
        self._from_inside = self._from_inside.difference(fields, later.labels or ())
        if self.parent is None and self.owner is not None:
            self._late += [*fields, *(later.labels or ())]
        fields.pop("latency_seconds", None)  # that of the call: the surrounding event has its own
        self._pass_on(later, before)

    def _include_unstated(self, values: Mapping[str, Any]) -> None:
        """Include those of *values* that are not stated, added to those of calls inside, under the lock."""
        own = Inference()
        own.bind(self._select_unstated(values))
        for name in SUMMED:
            if name in own.fields and name in self.fields:
                mine, inside = own.fields[name], self.fields[name]
                # Tokens and cost of a call inside are its own; its seconds are a part of this call's.
                own.bind({name: max(mine, inside) if name == "model_latency_seconds" else mine + inside})
        self._include(own)

    def _write(self, error: BaseException | None, elapsed_seconds: float) -> None:
        if "latency_seconds" not in self.fields:
            self.fields["latency_seconds"] = elapsed_seconds
        if error is None or self._closes_complete_stream(error):
            self.conclude()
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self.overrule("status", "cancelled", "the call was cancelled")
        else:
            self.overrule("status", "error", "the call has raised an exception")
            self.bind_exception(describe_error(error))
        self.end()
        get_runtime().record(self)

    def _is_first_token(self, item: Any) -> bool:
        try:
            return bool(self._first_token(item))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 (a user callback or item must not break the stream)
            if self._first_token is has_content:
                return True
            self._reject(describe_callback_error("first_token", error))
            self._first_token = has_content
            return self._is_first_token(item)

    def _closes_complete_stream(self, error: BaseException) -> bool:
        """Return whether *error* only means that the consumer closed a stream that was already complete."""
        return (
            isinstance(error, (asyncio.CancelledError, GeneratorExit))
            and self._result is not _NOTHING
            and ("status" in self.fields or is_done(self._result))
        )

    def _assign_ids(self, surrounding: Inference | None) -> None:
        """Set the call's own ids, in the call chain of *surrounding*; bound values win."""
        name = self._name
        self.identify(get_runtime().make_id(), surrounding)
        if name is not None and "operation_name" not in self.fields:
            # Not bind(), which makes a dict: every call passes here.
            try:
                self.fields["operation_name"] = CHECKS["operation_name"](name)
            except InvalidFieldError:
                self.bind({"operation_name": name})

    def _extract_from_result(self, result: Any) -> None:
        if result is _NOTHING:
            return
        found = {}
        for name, find in self._from_result.items():
            if self._is_stated(name):
                continue
            try:
                found[name] = find(result)
            except Exception as error:  # noqa: BLE001 (a user callback must not break the call)
                self._reject(describe_callback_error(name, error))
        self._add(found)
