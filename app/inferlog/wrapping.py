"""Wrappers of all kinds of callables that time each call until it returns or its stream is exhausted."""

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from inferlog.call import Call

_Function = Callable[..., Any]
Begin = Callable[[], Call]


def wrap(function: Any, begin: Begin) -> Any:
    """
    Wrap *function*, preserving its kind, so that each call is timed by the :class:`Call` that *begin* returns.

    Raises:
        TypeError: For a class; its methods can be decorated.
    """
    if isinstance(function, (classmethod, staticmethod)):
        return type(function)(wrap(function.__func__, begin))
    if inspect.isclass(function):
        raise TypeError(f"track_performance: {function.__name__} is a class; decorate the method that runs inferences")
    return functools.update_wrapper(_wrap_by_kind(function, begin), function)


def get_name(function: Any) -> str:
    """Return the name of *function*, also for a partial or an object with ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _wrap_by_kind(function: Any, begin: Begin) -> _Function:
    def is_kind(test: Callable[[Any], bool]) -> bool:
        return test(function) or test(getattr(function, "__call__", None))  # noqa: B004 (an object's may be async)

    if is_kind(inspect.isasyncgenfunction):
        return _wrap_async_generator(function, begin)
    if is_kind(inspect.iscoroutinefunction):
        return _wrap_coroutine(function, begin)
    if is_kind(inspect.isgeneratorfunction):
        return _wrap_generator(function, begin)
    return _wrap_function(function, begin)


def _wrap_function(function: _Function, begin: Begin) -> _Function:
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


def _wrap_coroutine(function: _Function, begin: Begin) -> _Function:
    async def timed(*args: Any, **kwargs: Any) -> Any:
        call = begin()
        with call:
            result = await function(*args, **kwargs)
        call.finish(result=result)
        return result

    return timed


def _wrap_generator(function: _Function, begin: Begin) -> _Function:
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


def _wrap_async_generator(function: _Function, begin: Begin) -> _Function:
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
_UNFINISHED: dict[type, Callable[[_Function, Begin], _Function]] = {
    CoroutineType: _wrap_coroutine,
    GeneratorType: _wrap_generator,
    AsyncGeneratorType: _wrap_async_generator,
}
