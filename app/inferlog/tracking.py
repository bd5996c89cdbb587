"""``track_performance``: times a function, a stream or a block as calls of a model."""

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any, Final, Literal, TypeVar, overload

from inferlog.call import Call
from inferlog.context import Inference, check_synchronous, current_inference, get_innermost
from inferlog.streams import FirstToken, has_content

_NOTHING_KNOWN: Final = Inference()
_AnyFunction = Callable[..., Any]
_Function = TypeVar("_Function", bound="Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[Any, Any]")

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
            except GeneratorExit as closing:
                call.closed_early = True
                with call:
                    items.close()
                call.finish(closing)
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
            except GeneratorExit as closing:
                call.closed_early = True
                with call:
                    await items.aclose()
                call.finish(closing)
                raise
            except BaseException as thrown:  # noqa: BLE001 (as above)
                # An ending event loop closes open generators this way.
                call.closed_early = isinstance(thrown, asyncio.CancelledError)
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
        innermost, current = get_innermost(), current_inference.get()
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
