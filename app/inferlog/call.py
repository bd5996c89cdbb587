"""One call that ``track_performance`` times, from its begin to its event."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import Token
from types import TracebackType
from typing import Any, Final, Self

from inferlog.configuration import runtime
from inferlog.context import SUMMED, Inference, current_inference, raised, report_late
from inferlog.event import CHECKS, InvalidFieldError, to_microunits
from inferlog.internal_errors import log_failure
from inferlog.line import describe_error
from inferlog.streams import FirstToken, has_content, is_done

_NOTHING: Final = object()
_NO_FIELDS: Final[Mapping[str, Any]] = {}
_OF_THE_CALL: Final = frozenset({*SUMMED, "latency_seconds"})
"""Fields that an event around the call takes at the call's end only: several calls add up."""

FromResult = Mapping[str, Callable[[Any], Any]]
"""Values that are found in what the function returns."""


class Call:
    """
    One call being timed.

    ``with call:`` surrounds the code that works for it: what that code binds and logs belongs to the call, and an
    exception that leaves it ends the call. Otherwise the call ends with :meth:`finish`.

    Args:
        name: ``gen_ai.operation.name`` of a call that owns its event.
        inference: What is known beforehand; taken over.
        from_result: What is to be found in the result.
        separate: Own an event also where another could be added to.
        first_token: Returns whether an item of a stream is its first token.

    Attributes:
        inference: What is known of the call.
        left: Whether it is a stream that is closed before its end.
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
        # A task that outlives its request has nothing to add to: the request's event is written.
        self._owner = owner = None if separate or surrounding is None or surrounding.ended else surrounding
        self._taken: Mapping[str, Any] = _NO_FIELDS
        if owner is None:
            self._own(surrounding)
        else:
            # Said at once: if the client leaves, this call may end after the request's event.
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
        """What is current while code works for this call."""
        return self._owner or self.inference

    def resume(self) -> None:
        """Let the code that runs next work for this call: ``bind_inference`` and log lines find it."""
        if self._owner is None:
            self._token = current_inference.set(self.inference)

    def pause(self) -> None:
        """Undo :meth:`resume`."""
        token, self._token = self._token, None
        if token is not None:
            try:  # noqa: SIM105 (on the way of every call, where suppress costs more than all the rest)
                current_inference.reset(token)
            except ValueError:
                pass  # a block left in another thread than entered, as in a dependency that yields: nothing to undo

    def take_item(self, item: Any) -> None:
        """Note that a stream has given its next item."""
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
        Write the event, or add what is known to the event of the request around this call. Never raises.

        Args:
            error: What has ended the call.
            result: What it returned; of a stream, its last item counts.
        """
        elapsed_seconds = to_microunits(time.perf_counter() - self._started)
        try:
            if self._from_result:
                self._find(self._result if result is _NOTHING else result)
            self._write(error, elapsed_seconds)
        except Exception as failure:  # noqa: BLE001 (a log that fails must not change a result, nor hide its error)
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
                return  # the request has left its stream behind, and its event says so
            self._own(owner)
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
        except BaseException as error:  # noqa: BLE001 (the service's callable, or item; it must not break the stream)
            if self._first_token is has_content:
                return True
            self.inference.refused.append(raised("first_token", error))
            self._first_token = has_content
            return self._is_first_token(item)

    def _is_left_complete(self, error: BaseException) -> bool:
        """Return whether *error* means only that the consumer has left a stream that was complete by then."""
        return (
            isinstance(error, (asyncio.CancelledError, GeneratorExit))
            and self._result is not _NOTHING
            and ("status" in self.inference.fields or is_done(self._result))
        )

    def _own(self, surrounding: Inference | None) -> None:
        """Give the call ids of its own, in the chain of what it was made in; what it states itself stays."""
        inference, name = self.inference, self._name
        inference.identify(runtime().make_id(), surrounding)
        if name is not None and "operation_name" not in inference.fields:
            # Not bind(), which makes a dict: every call passes here.
            try:
                inference.fields["operation_name"] = CHECKS["operation_name"](name)
            except InvalidFieldError:
                inference.bind({"operation_name": name})

    def _find(self, result: Any) -> None:
        if result is _NOTHING:
            return
        for name, find in self._from_result.items():
            if name in self.inference.fields:
                continue  # stated by the call itself
            try:
                value = find(result)
            except Exception as error:  # noqa: BLE001 (the service's callable must not break the service's call)
                self.inference.refused.append(raised(name, error))
            else:
                self.inference.bind({name: value})


def _renew_lock() -> None:
    global _adding  # noqa: PLW0603 (a fork may leave it held by a thread that is not in the child)
    _adding = threading.Lock()


# Two threads of one request may add their tokens at the same time; a sum is read, then written.
_adding = threading.Lock()
os.register_at_fork(after_in_child=_renew_lock)
