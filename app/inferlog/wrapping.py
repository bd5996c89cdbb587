"""Wraps what can be called, so that each call is timed to its end: until it returns, or its stream is exhausted."""

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from inferlog.call import Call

_Function = Callable[..., Any]
Begin = Callable[[], Call]


def wrapped(function: Any, begin: Begin) -> Any:
    """
    Return *function*, timed at each call by what *begin* returns, and of the same kind.

    Raises:
        TypeError: For a class, whose methods are what can be timed.
    """
    if isinstance(function, (classmethod, staticmethod)):
        return type(function)(wrapped(function.__func__, begin))
    if inspect.isclass(function):
        raise TypeError(f"track_performance: {function.__name__} is a class; decorate the method that makes inferences")
    return functools.update_wrapper(_of_its_kind(function, begin), function)


def name_of(function: Any) -> str:
    """Return what *function* is called, also where it is a partial or an object with ``__call__``."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _of_its_kind(function: Any, begin: Begin) -> _Function:
    def is_kind(test: Callable[[Any], bool]) -> bool:
        return test(function) or test(getattr(function, "__call__", None))  # noqa: B004 (an object's may be async)

    if is_kind(inspect.isasyncgenfunction):
        return _async_generator(function, begin)
    if is_kind(inspect.iscoroutinefunction):
        return _coroutine(function, begin)
    if is_kind(inspect.isgeneratorfunction):
        return _generator(function, begin)
    return _function(function, begin)


def _function(function: _Function, begin: Begin) -> _Function:
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


def _coroutine(function: _Function, begin: Begin) -> _Function:
    async def timed(*args: Any, **kwargs: Any) -> Any:
        call = begin()
        with call:
            result = await function(*args, **kwargs)
        call.finish(result=result)
        return result

    return timed


def _generator(function: _Function, begin: Begin) -> _Function:
    def timed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        items = function(*args, **kwargs)
        call = begin()
        advance, argument = items.send, None
        while True:
            # Between two items the caller's code runs, which does not work for this call.
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
            except BaseException as thrown:  # noqa: BLE001 (what the caller throws in is for the generator to handle)
                advance, argument = items.throw, thrown

    return timed


def _async_generator(function: _Function, begin: Begin) -> _Function:
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
                call.left = isinstance(thrown, asyncio.CancelledError)  # how a loop that ends closes what is still open
                advance, argument = items.athrow, thrown

    return timed


# What a plain function may return without having run it: the end of that is the end of the call.
_UNFINISHED: dict[type, Callable[[_Function, Begin], _Function]] = {
    CoroutineType: _coroutine,
    GeneratorType: _generator,
    AsyncGeneratorType: _async_generator,
}
