"""One call timed by ``track_performance``, from its start to its event."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Final, Self

from inferlog.configuration import runtime
from inferlog.context import SUMMED, Inference, current_inference, describe_callback_error, log_failure, report_late
from inferlog.event import CHECKS, InvalidFieldError, to_microunits
from inferlog.line import describe_error
from inferlog.streams import FirstToken, has_content, is_done

_NOTHING: Final = object()
_NO_FIELDS: Final[Mapping[str, Any]] = {}
_OF_THE_CALL: Final = frozenset({*SUMMED, "latency_seconds"})
"""Fields that are added to a surrounding event at the end of the call, because they are summed over calls."""

FromResult = Mapping[str, Callable[[Any], Any]]
"""Callbacks by field name that extract values from the result."""


class Call:
    """
    One timed call.

    ``with call:`` encloses the code of the call: its bound values and log lines belong to the call, and an exception
    that leaves the block ends the call. Otherwise the call ends with :meth:`finish`.

    Args:
        name: ``gen_ai.operation.name`` of a call with its own event.
        inference: Values known beforehand; owned by the call from now on.
        from_result: Callbacks that extract values from the result.
        separate: Write a separate event even inside a request or another call.
        first_token: Returns whether an item of a stream is its first token.

    Attributes:
        inference: Values of the call.
        left: Whether it is a stream that was closed before its end.
    """

    __slots__ = (
        "_first_token",
        "_from_result",
        "_name",
        "_owner",
        "_result",
        "_started",
        "_taken",
        "_token",
        "inference",
        "left",
    )

    def __init__(
        self,
        name: str | None,
        inference: Inference,
        from_result: FromResult,
        *,
        separate: bool,
        first_token: FirstToken = has_content,
    ) -> None:
        self._name = name
        self._first_token = first_token
        self._from_result = from_result
        self._result: Any = _NOTHING
        self._token: Token[Inference | None] | None = None
        self.left = False
        self.inference = inference
        surrounding = current_inference.get()
        # A task that outlives its request gets its own event: the request's event is already written.
        self._owner = owner = None if separate or surrounding is None or surrounding.ended else surrounding
        self._taken: Mapping[str, Any] = _NO_FIELDS
        if owner is None:
            self._assign_ids(surrounding)
        else:
            # Copied now: if the client disconnects, this call may end after the request's event.
            self._taken = {name: value for name, value in inference.fields.items() if name not in _OF_THE_CALL}
            owner.fields.update(self._taken)
        self._started = time.perf_counter()

    def __enter__(self) -> Self:
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.pause()
        if error is not None:
            self.finish(error)

    @property
    def context(self) -> Inference:
        """Current inference while the code of this call runs."""
        return self._owner or self.inference

    def resume(self) -> None:
        """Make this call current for the code that runs next: its ``bind_inference`` and log lines."""
        if self._owner is None:
            self._token = current_inference.set(self.inference)

    def pause(self) -> None:
        """Undo :meth:`resume`."""
        token, self._token = self._token, None
        if token is not None:
            try:  # noqa: SIM105 (hot path, where suppress costs more than the rest)
                current_inference.reset(token)
            except ValueError:
                pass  # the block was entered in another thread, as in a yielding dependency: nothing to undo

    def take_item(self, item: Any) -> None:
        """Record the next item of a stream."""
        self._result = item
        fields = self.inference.fields
        if "time_to_first_token_seconds" not in fields:
            elapsed_seconds = time.perf_counter() - self._started
            if self._is_first_token(item):
                seconds = fields["time_to_first_token_seconds"] = to_microunits(elapsed_seconds)
                if self._owner is not None:
                    self._owner.fields["time_to_first_token_seconds"] = seconds

    def finish(self, error: BaseException | None = None, result: Any = _NOTHING) -> None:
        """
        Write the event, or add the values to the event of the surrounding request. Never raises.

        Args:
            error: Exception that ended the call.
            result: Returned value; a stream uses its last item instead.
        """
        elapsed_seconds = to_microunits(time.perf_counter() - self._started)
        try:
            if self._from_result:
                self._extract_from_result(self._result if result is _NOTHING else result)
            self._write(error, elapsed_seconds)
        except Exception as failure:  # noqa: BLE001 (a failure to log must not change a result, nor hide its error)
            log_failure("the event of a call", failure)
        self._result = _NOTHING

    def _write(self, error: BaseException | None, elapsed_seconds: float) -> None:
        owner, inference = self._owner, self.inference
        fields = inference.fields
        if owner is not None and not owner.ended:
            fields.setdefault("model_latency_seconds", fields.pop("latency_seconds", elapsed_seconds))
            with _adding:
                owner.merge(inference, self._taken)
            inference.closed = True
            return
        if owner is not None:
            if self.left:
                report_late(name for name in SUMMED if name in fields)
                return  # the request has abandoned its stream, and its event records that
            self._assign_ids(owner)
        if "latency_seconds" not in fields:
            fields["latency_seconds"] = elapsed_seconds
        if error is None or self._is_left_complete(error):
            inference.conclude()
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            inference.overrule("status", "cancelled", "the call was cancelled")
        else:
            inference.overrule("status", "error", "the call has raised an exception")
            inference.bind_exception(describe_error(error))
        inference.ended = True
        runtime().record(inference)

    def _is_first_token(self, item: Any) -> bool:
        try:
            return bool(self._first_token(item))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 (a user callback or item must not break the stream)
            if self._first_token is has_content:
                return True
            self.inference.rejected.append(describe_callback_error("first_token", error))
            self._first_token = has_content
            return self._is_first_token(item)

    def _is_left_complete(self, error: BaseException) -> bool:
        """Return whether *error* only means that the consumer closed a stream that was already complete."""
        return (
            isinstance(error, (asyncio.CancelledError, GeneratorExit))
            and self._result is not _NOTHING
            and ("status" in self.inference.fields or is_done(self._result))
        )

    def _assign_ids(self, surrounding: Inference | None) -> None:
        """Set the call's own ids, in the call chain of *surrounding*; bound values win."""
        inference, name = self.inference, self._name
        inference.identify(runtime().make_id(), surrounding)
        if name is not None and "operation_name" not in inference.fields:
            # Not bind(), which makes a dict: every call passes here.
            try:
                inference.fields["operation_name"] = CHECKS["operation_name"](name)
            except InvalidFieldError:
                inference.bind({"operation_name": name})

    def _extract_from_result(self, result: Any) -> None:
        if result is _NOTHING:
            return
        for name, find in self._from_result.items():
            if name in self.inference.fields:
                continue  # bound by the call itself
            try:
                value = find(result)
            except Exception as error:  # noqa: BLE001 (a user callback must not break the call)
                self.inference.rejected.append(describe_callback_error(name, error))
            else:
                self.inference.bind({name: value})


def _renew_lock() -> None:
    global _adding  # noqa: PLW0603 (a thread that does not exist in the child may hold it)
    _adding = threading.Lock()


# Two threads of one request may add their tokens at the same time; a sum is a read and a write.
_adding = threading.Lock()
os.register_at_fork(after_in_child=_renew_lock)
