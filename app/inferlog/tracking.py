"""``track_performance``: timing and outcome of a function, a stream or a block, from its start to its event."""

import asyncio
import functools
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextvars import Token
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any, Final, Literal, Self, TypeVar, overload

from inferlog import context
from inferlog.configuration import get_runtime
from inferlog.context import (
    SUMMED,
    Inference,
    check_synchronous,
    current_call,
    current_inference,
    describe_callback_error,
    get_innermost,
    log_failure,
    report_late,
)
from inferlog.event import CHECKS, InvalidFieldError, to_label_name, to_microunits
from inferlog.line import describe_error
from inferlog.streams import FirstToken, has_content, is_done

# Python 3.11 calls a method of a module's own name in a third of the time of an imported name's.
_current: Final = current_inference
_current_call: Final = current_call
_NOTHING: Final = object()
_NOTHING_KNOWN: Final = Inference()
_AT_THE_END: Final = frozenset({*SUMMED, "latency_seconds"})
"""Fields of the decorator that a surrounding event gets at the end of the call, because they are summed over calls."""
_NO_NAMES: Final[frozenset[str]] = frozenset()

FromResult = Mapping[str, Callable[[Any], Any]]
"""Callbacks by field name that extract values from the result."""
_AnyFunction = Callable[..., Any]
_Function = TypeVar("_Function", bound="Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[Any, Any]")


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
        left: Whether it is a stream that was closed before its end.
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
        "left",
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
        self.left = False

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
        fields = later.fields
        with context.adding:
            self._leave_written_event()
            before: dict[str, float] = {name: self.fields.get(name, 0) for name in SUMMED if name in fields}
            Inference.include(self, later)
            self._from_inside = self._from_inside.difference(fields, later.labels or ())
            if self.parent is None and self.owner is not None:
                self._late += [*fields, *(later.labels or ())]
            fields.pop("latency_seconds", None)  # that of the call: the surrounding event has its own
            self._pass_on(later, before)

    def take_over(self, values: Inference, before: Mapping[str, float]) -> None:
        """Add *values* of a call inside this one; note which fields and labels have only such values."""
        inside = {*values.fields, *(values.labels or ())} - self.fields.keys()
        self._from_inside = self._from_inside.union(inside.difference(self.labels or ()))
        Inference.take_over(self, values, before)

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
            if self.owner is None:
                self._write(error, elapsed_seconds)
            else:
                self._leave(self.owner, error, elapsed_seconds)
        except Exception as failure:  # noqa: BLE001 (a failure to log must not change a result, nor hide its error)
            log_failure("the event of a call", failure)
        self._result = _NOTHING

    def _join(self, owner: Inference) -> None:
        """Become a part of the event of *owner*, which gets the known values now: it may end before this call."""
        owner.has_calls = True
        self.parent = get_innermost()
        self._at_end = {name: self.fields.pop(name) for name in _AT_THE_END if name in self.fields}
        owner.rejected += self.rejected
        self.rejected = owner.rejected
        with context.adding:
            self._pass_on(self, {})

    def _pass_on(self, values: Inference, before: Mapping[str, float]) -> None:
        around = self.parent
        while around is not None:
            around.take_over(values, before)
            around = around.parent

    def _leave(self, owner: Inference, error: BaseException | None, elapsed_seconds: float) -> None:
        """Add the sums to the event of *owner*; if that is written, write the call's own."""
        at_end = self._at_end
        with context.adding:
            self._leave_written_event()
            if self.parent is not None:
                stated = self.fields.pop("latency_seconds", None)
                if stated is not None and not self._is_stated("model_latency_seconds"):
                    self.include(Inference({"model_latency_seconds": stated}))
                self._add({"model_latency_seconds": at_end.pop("latency_seconds", elapsed_seconds), **at_end})
                self.closed = True
        if self.closed:
            return
        if self.left:
            # The request has abandoned its stream, and its event records that.
            report_late([*at_end, *self._late])
            self.closed = True
        else:
            self._add(at_end)
            self._assign_ids(owner)
            self._write(error, elapsed_seconds)

    def _leave_written_event(self) -> None:
        """Separate the call from a surrounding event that is already written; the values in it are not repeated."""
        if self.parent is not None and self.owner is not None and self.owner.ended:
            self.parent = None
            self._late: list[str] = []
            self.rejected = []
            self._written = frozenset(name for name in SUMMED if self._is_stated(name))
            for name in (*SUMMED, "request_id"):
                self.fields.pop(name, None)

    def _reject(self, reason: str) -> None:
        self._leave_written_event()
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

    def _add(self, values: Mapping[str, Any]) -> None:
        """Add *values* of the decorator, its callbacks and the clock that are not stated, to those of calls inside."""
        values = {name: value for name, value in values.items() if not self._is_stated(name)}
        if self._is_alone():
            self.bind(values)
            return
        own = Inference()
        own.bind(values)
        with context.adding:
            for name in SUMMED:
                if name in own.fields and name in self.fields:
                    mine, inside = own.fields[name], self.fields[name]
                    # Tokens and cost of a call inside are its own; its seconds are a part of this call's.
                    own.bind({name: max(mine, inside) if name == "model_latency_seconds" else mine + inside})
            self.include(own)

    def _write(self, error: BaseException | None, elapsed_seconds: float) -> None:
        if "latency_seconds" not in self.fields:
            self.fields["latency_seconds"] = elapsed_seconds
        if error is None or self._is_left_complete(error):
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

    def _is_left_complete(self, error: BaseException) -> bool:
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


Begin = Callable[[], Call]


def _wrap(function: Any, begin: Begin) -> Any:
    """
    Wrap *function*, preserving its kind, so that each call is timed by the :class:`Call` that *begin* returns.

    Raises:
        TypeError: For a class; its methods can be decorated.
    """
    if isinstance(function, (classmethod, staticmethod)):
        return type(function)(_wrap(function.__func__, begin))
    if inspect.isclass(function):
        raise TypeError(f"track_performance: {function.__name__} is a class; decorate the method that runs inferences")
    return functools.update_wrapper(_wrap_by_kind(function, begin), function)


def _get_name(function: Any) -> str:
    """Return the name of *function*, also for a partial or an object with ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _wrap_by_kind(function: Any, begin: Begin) -> _AnyFunction:
    def is_kind(test: Callable[[Any], bool]) -> bool:
        return test(function) or test(getattr(function, "__call__", None))  # noqa: B004 (an object's may be async)

    if is_kind(inspect.isasyncgenfunction):
        return _wrap_async_generator(function, begin)
    if is_kind(inspect.iscoroutinefunction):
        return _wrap_coroutine(function, begin)
    if is_kind(inspect.isgeneratorfunction):
        return _wrap_generator(function, begin)
    return _wrap_function(function, begin)


def _wrap_function(function: _AnyFunction, begin: Begin) -> _AnyFunction:
    def timed(*args: Any, **kwargs: Any) -> Any:
        call = begin()
        with call:
            result = function(*args, **kwargs)
        unfinished = _UNFINISHED.get(type(result))
        if unfinished is not None:
            return unfinished(lambda: result, lambda: call)()
        call.finish(result=result)
        return result

    return timed


def _wrap_coroutine(function: _AnyFunction, begin: Begin) -> _AnyFunction:
    async def timed(*args: Any, **kwargs: Any) -> Any:
        call = begin()
        with call:
            result = await function(*args, **kwargs)
        call.finish(result=result)
        return result

    return timed


def _wrap_generator(function: _AnyFunction, begin: Begin) -> _AnyFunction:
    def timed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        items = function(*args, **kwargs)
        call = begin()
        advance, argument = items.send, None
        while True:
            # Between two items the caller's code runs, outside this call.
            call.resume()
            try:
                item = advance(argument)
            except StopIteration as end:
                call.pause()
                call.finish()
                return end.value
            except BaseException as error:
                call.pause()
                call.finish(error)
                raise
            call.pause()
            call.take_item(item)
            try:
                advance, argument = items.send, (yield item)
            except GeneratorExit as left:
                call.left = True
                with call:
                    items.close()
                call.finish(left)
                raise
            except BaseException as thrown:  # noqa: BLE001 (an exception thrown in by the caller goes to the generator)
                advance, argument = items.throw, thrown

    return timed


def _wrap_async_generator(function: _AnyFunction, begin: Begin) -> _AnyFunction:
    async def timed(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        items = function(*args, **kwargs)
        call = begin()
        advance, argument = items.asend, None
        while True:
            call.resume()
            try:
                item = await advance(argument)
            except StopAsyncIteration:
                call.pause()
                call.finish()
                return
            except BaseException as error:
                call.pause()
                call.finish(error)
                raise
            call.pause()
            call.take_item(item)
            try:
                advance, argument = items.asend, (yield item)
            except GeneratorExit as left:
                call.left = True
                with call:
                    await items.aclose()
                call.finish(left)
                raise
            except BaseException as thrown:  # noqa: BLE001 (as above)
                # An ending event loop closes open generators this way.
                call.left = isinstance(thrown, asyncio.CancelledError)
                advance, argument = items.athrow, thrown

    return timed


# Results of a plain function that have not run yet: the call ends when they end.
_UNFINISHED: dict[type, Callable[[_AnyFunction, Begin], _AnyFunction]] = {
    CoroutineType: _wrap_coroutine,
    GeneratorType: _wrap_generator,
    AsyncGeneratorType: _wrap_async_generator,
}


class TrackedCall:
    """
    Call object of a ``with`` block. Its attributes become values of the event: ``call.output_tokens = 40``.

    Takes the names of :func:`inferlog.bind_inference`; any other name becomes a label.
    """

    __slots__ = ("_inference",)

    _inference: Inference

    def __init__(self, inference: Inference) -> None:
        object.__setattr__(self, "_inference", inference)

    def __setattr__(self, name: str, value: Any) -> None:
        self._inference.state({name: value})


class Tracker:
    """
    Result of ``track_performance(…)``: a decorator, and a context manager for ``with`` and ``async with``.

    One tracker can be used many times: sequentially, nested, and by several threads and tasks at once.
    """

    __slots__ = ("_first_token", "_name", "_open", "_separate", "_values")

    def __init__(
        self, name: str | None, values: dict[str, Any], separate: bool, first_token: FirstToken | None = None
    ) -> None:
        self._name = name
        self._first_token = first_token
        self._values = values
        self._separate = separate
        self._open: list[Call] = []

    def __enter__(self) -> TrackedCall:
        if self._first_token is not None:
            raise TypeError(
                "track_performance: first_token applies to streams, and a block has no stream; "
                "bind time_to_first_token_seconds in the block"
            )
        call = Call(_NOTHING_KNOWN, self._name, {}, self._separate)
        call.bind(self._values)
        # No field takes a callable, except as the text of an error.
        if call.rejected or call.labels or "error_message" in call.fields or "error_stack_trace" in call.fields:
            self._reject_callables()
        call.begin()
        call.resume()
        self._open.append(call)
        return TrackedCall(call)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        # A single call is the first, even if another thread opens one at this moment.
        call = self._open.pop(0) if len(self._open) == 1 else self._pop_innermost()
        call.pause()
        call.finish(error)
        return False

    async def __aenter__(self) -> TrackedCall:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        return self.__exit__(kind, error, traceback)

    def __call__(self, function: _Function) -> _Function:
        """Decorate *function* to time each call until it returns or its generator is exhausted."""
        name, separate, from_result = self._name or _get_name(function), self._separate, _select_callables(self._values)
        first_token = self._first_token or has_content
        known = Inference()  # checked once for all calls
        known.bind({name: value for name, value in self._values.items() if name not in from_result})

        def begin() -> Call:
            return Call(known, name, from_result, separate, first_token).begin()

        timed: _Function = _wrap(function, begin)
        return timed

    def _reject_callables(self) -> None:
        if names := ", ".join(_select_callables(self._values)):
            raise TypeError(
                f"track_performance: {names} takes a result, "
                "and a block has no result; set the value on `call` of `with … as call`"
            )

    def _pop_innermost(self) -> Call:
        """Remove and return the call of the ending block: that of this thread and task, if several are open."""
        innermost, current = get_innermost(), _current.get()
        calls = self._open[::-1]
        # A block that ends in another context than it started in, as in a yielding dependency, has lost its context,
        # but not its request.
        of_request = next((call for call in calls if (call.owner or call) is current), calls[0])
        call = next((call for call in calls if call is innermost), of_request)
        self._open.remove(call)
        return call


def _select_callables(values: dict[str, Any]) -> dict[str, Callable[[Any], Any]]:
    return {name: value for name, value in values.items() if callable(value)}


@overload
def track_performance(function: _Function, /) -> _Function: ...
@overload
def track_performance(
    name: str | None = None, /, *, separate: bool = False, first_token: FirstToken | None = None, **values: Any
) -> Tracker: ...
def track_performance(
    target: Any = None, /, *, separate: bool = False, first_token: FirstToken | None = None, **values: Any
) -> Any:
    """
    Time a function or a block, as decorator with or without arguments, or as context manager.

    Outside a request each call writes its own event, with ``latency_seconds``, ``status`` and, on failure,
    ``error.*``. Inside a request the middleware owns the event: the call adds its seconds as
    ``model_latency_seconds``, its tokens and its model version to it; several calls are summed, and the seconds of a
    call include those of calls inside it. A call that ends after
    its request's event is written has its own event.

    Supports functions, methods, coroutines, generators and async generators, and functions that return one of these. A
    generator is timed from its first step until exhausted or closed, with the time to its first token; one that is
    never iterated writes no event. One that is closed before its end is ``cancelled``, unless its last item was
    ``data: [DONE]`` or a status is bound. Exceptions pass through unchanged.

    Args:
        target: The function, if used without arguments; or ``gen_ai.operation.name``, default the function's name.
        separate: Write a separate event even inside a request, with the request's correlation id.
        first_token: Returns whether an item of a stream is its first token; called with each item until then.
            Default: the first item with content; None, empty text, and chunks with only a role, usage or status have
            none.
        **values: Values known beforehand, as for :func:`inferlog.bind_inference`. For a decorated function, a value
            may be a callback that takes the result, or the last item of a stream:
            ``output_tokens=lambda answer: answer.usage.completion_tokens``. Values bound by the call win.
    """
    if first_token is not None:
        if not callable(first_token):
            raise TypeError(f"track_performance: first_token is {first_token!r:.80}; expected a callable")
        check_synchronous("first_token", first_token)
    if callable(target) or isinstance(target, (classmethod, staticmethod)):
        return Tracker(None, {}, False)(target)
    return Tracker(target, values, separate, first_token)
