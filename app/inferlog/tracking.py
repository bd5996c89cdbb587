"""``track_performance``: times a function or a block, and says how it ended."""

import asyncio
import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import Token
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from inferlog.configuration import runtime
from inferlog.context import Inference, current_inference
from inferlog.event import to_microunits
from inferlog.line import described

_Function = TypeVar("_Function", bound=Callable[..., Any])


class TrackedCall:
    """
    What a ``with`` block has of its call. What is set on it goes into the event: ``call.output_tokens = 40``.

    Names are those of :func:`inferlog.bind_inference`; any other name becomes a label.
    """

    __slots__ = ("_inference",)

    _inference: Inference

    def __init__(self, inference: Inference) -> None:
        object.__setattr__(self, "_inference", inference)

    def __setattr__(self, name: str, value: Any) -> None:
        self._inference.bind({name: value})


class _Call:
    """One call being timed, from its begin to its event."""

    __slots__ = ("_owner", "_started", "_token", "inference")

    def __init__(self, name: str | None, values: dict[str, Any], *, separate: bool) -> None:
        surrounding = current_inference.get()
        self.inference = inference = Inference()
        self._owner = owner = None if separate else surrounding
        self._token: Token[Inference | None] | None = None
        if owner is None:
            fields = inference.fields
            fields["request_id"] = fields["correlation_id"] = runtime().make_id()
            if surrounding is not None:
                fields["correlation_id"] = surrounding.fields["correlation_id"]
            if name is not None:
                inference.bind({"operation_name": name})
        inference.bind(values)
        self._started = time.perf_counter()

    def resume(self) -> None:
        """Let the code that runs next work for this call: ``bind_inference`` and log lines find it."""
        if self._owner is None:
            self._token = current_inference.set(self.inference)

    def pause(self) -> None:
        """Undo :meth:`resume`."""
        if self._token is not None:
            current_inference.reset(self._token)
            self._token = None

    def first_item(self) -> None:
        """Note that the first item of a stream is there."""
        self.inference.bind({"time_to_first_token_seconds": time.perf_counter() - self._started})

    def finish(self, error: BaseException | None) -> None:
        """Write the event, or add what is known to the event of the request around this call."""
        elapsed_seconds = to_microunits(time.perf_counter() - self._started)
        fields = self.inference.fields
        if self._owner is not None:
            fields["model_latency_seconds"] = elapsed_seconds
            self._owner.take_over(self.inference)
            return
        fields["latency_seconds"] = elapsed_seconds
        if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            fields["status"] = "cancelled"
        elif error is not None:
            fields["status"] = "error"
            fields.update(described(error))
        elif "status" not in fields:
            fields["status"] = "error" if "error_type" in fields or "error_message" in fields else "success"
        runtime().record(self.inference)


class Tracker:
    """What ``track_performance(…)`` returns: a decorator, and a context manager for one block."""

    def __init__(self, name: str | None, values: dict[str, Any], *, separate: bool) -> None:
        self._name = name
        self._values = values
        self._separate = separate
        self._call: _Call | None = None

    def __enter__(self) -> TrackedCall:
        if self._call is not None:
            raise RuntimeError("track_performance: this block is open already; make a new one for each `with`")
        self._call = self._begin(self._name)
        self._call.resume()
        return TrackedCall(self._call.inference)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        if self._call is not None:
            call, self._call = self._call, None
            call.pause()
            call.finish(error)
        return False

    def __call__(self, function: _Function) -> _Function:
        """Return *function*, timed at each call: until it returns, or until its generator is exhausted."""
        begin = functools.partial(self._begin, self._name or function.__name__)
        return functools.update_wrapper(_wrapped(function, begin), function)  # type: ignore[return-value]  # same signature

    def _begin(self, name: str | None) -> _Call:
        return _Call(name, self._values, separate=self._separate)


@overload
def track_performance(function: _Function, /) -> _Function: ...
@overload
def track_performance(name: str | None = None, /, *, separate: bool = False, **values: Any) -> Tracker: ...
def track_performance(target: Any = None, /, *, separate: bool = False, **values: Any) -> Any:
    """
    Time a function or a block, as decorator with or without arguments, or as context manager.

    Outside a request each call is an event of its own, with ``latency_seconds``, ``status`` and, on failure,
    ``error.*``. Inside a request the middleware owns the event: the call adds its seconds as
    ``model_latency_seconds``, its tokens and its model version to it; several calls add up. Works for functions,
    methods, coroutines, generators and async generators; exceptions pass through unchanged.

    Args:
        target: The function, without arguments; or a name for ``gen_ai.operation.name``, else the function's own.
        separate: Write an event of its own also inside a request, with the request's correlation id.
        **values: What is known beforehand, as for :func:`inferlog.bind_inference`.
    """
    if callable(target):
        return Tracker(None, {}, separate=False)(target)
    return Tracker(target, values, separate=separate)


def _wrapped(function: Callable[..., Any], begin: Callable[[], _Call]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, begin)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, begin)
    if inspect.isgeneratorfunction(function):
        return _generator(function, begin)
    return _function(function, begin)


def _function(function: Callable[..., Any], begin: Callable[[], _Call]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        call = begin()
        call.resume()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            call.pause()
            call.finish(error)
            raise
        call.pause()
        call.finish(None)
        return result

    return timed


def _coroutine(function: Callable[..., Any], begin: Callable[[], _Call]) -> Callable[..., Any]:
    async def timed(*args: Any, **kwargs: Any) -> Any:
        call = begin()
        call.resume()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            call.pause()
            call.finish(error)
            raise
        call.pause()
        call.finish(None)
        return result

    return timed


def _generator(function: Callable[..., Any], begin: Callable[[], _Call]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Iterator[Any]:
        call = begin()
        items = function(*args, **kwargs)
        first = True
        try:
            while True:
                # Between two items the caller's code runs, which does not work for this call.
                call.resume()
                try:
                    item = next(items)
                except StopIteration:
                    break
                finally:
                    call.pause()
                if first:
                    call.first_item()
                    first = False
                yield item
        except BaseException as error:
            items.close()
            call.finish(error)
            raise
        call.finish(None)

    return timed


def _async_generator(function: Callable[..., Any], begin: Callable[[], _Call]) -> Callable[..., Any]:
    async def timed(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        call = begin()
        items = function(*args, **kwargs)
        first = True
        try:
            while True:
                call.resume()
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    break
                finally:
                    call.pause()
                if first:
                    call.first_item()
                    first = False
                yield item
        except BaseException as error:
            await items.aclose()
            call.finish(error)
            raise
        call.finish(None)

    return timed
