"""``track_performance``: times a function or a block, and says how it ended."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from inferlog.call import Call
from inferlog.callbacks import check_answers_at_once
from inferlog.context import Inference, current_inference
from inferlog.streams import FirstToken, has_content
from inferlog.wrapping import name_of, wrapped

_Function = TypeVar("_Function", bound="Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[Any, Any]")


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
        self._inference.state({name: value})


class Tracker:
    """
    What ``track_performance(…)`` returns: a decorator, and a context manager for ``with`` and ``async with``.

    One tracker may be used many times, one after the other, within itself, and by several threads and tasks at once.
    """

    __slots__ = ("_first_token", "_name", "_open", "_separate", "_values")

    def __init__(
        self, name: str | None, values: dict[str, Any], *, separate: bool, first_token: FirstToken | None = None
    ) -> None:
        self._name = name
        self._first_token = first_token
        self._values = values
        self._separate = separate
        self._open: list[Call] = []

    def __enter__(self) -> TrackedCall:
        if self._first_token is not None:
            raise TypeError(
                "track_performance: first_token is for a stream, and a block has none; "
                "bind time_to_first_token_seconds in the block"
            )
        if any(map(callable, self._values.values())):
            raise TypeError(
                f"track_performance: {', '.join(_callables(self._values))} would be found in a result, and a block "
                "has none; set it in the block on what `with … as call` gives"
            )
        inference = Inference()
        inference.bind(self._values)
        call = Call(self._name, inference, {}, separate=self._separate)
        call.resume()
        self._open.append(call)
        return TrackedCall(inference)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        # One that is alone stays the first, also if another thread opens one at this moment.
        call = self._open.pop(0) if len(self._open) == 1 else self._innermost()
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
        """Return *function*, timed at each call: until it returns, or until its generator is exhausted."""
        name, separate, from_result = self._name or name_of(function), self._separate, _callables(self._values)
        first_token = self._first_token or has_content
        known = Inference()  # checked here, once for all calls
        known.bind({name: value for name, value in self._values.items() if name not in from_result})

        def begin() -> Call:
            return Call(name, known.copy(), from_result, separate=separate, first_token=first_token)

        timed: _Function = wrapped(function, begin)
        return timed

    def _innermost(self) -> Call:
        """Take the call whose block ends here: of this thread and task, where several have one open."""
        current = current_inference.get()
        calls = self._open[::-1]
        # A block that ends elsewhere than it began, as in a dependency that yields, has lost its context.
        call = next((call for call in calls if call.context is current), calls[0])
        self._open.remove(call)
        return call


def _callables(values: dict[str, Any]) -> dict[str, Callable[[Any], Any]]:
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

    Outside a request each call is an event of its own, with ``latency_seconds``, ``status`` and, on failure,
    ``error.*``. Inside a request the middleware owns the event: the call adds its seconds as
    ``model_latency_seconds``, its tokens and its model version to it; several calls add up. A call that ends after
    its request's event is written has an event of its own.

    Works for functions, methods, coroutines, generators and async generators, and for a function that returns one of
    these; a generator is timed from its first step until exhausted or closed, with the time to its first token,
    and one that is never iterated makes no event. One that is closed before its end is ``cancelled``, unless its last
    item was ``data: [DONE]`` or it has stated a status. Exceptions pass through unchanged.

    Args:
        target: The function, without arguments; or a name for ``gen_ai.operation.name``, else the function's own.
        separate: Write an event of its own also inside a request, with the request's correlation id.
        first_token: Returns whether an item of a stream is its first token; called with each item until then.
            Default: the first item with content, which None, empty text, and chunks with only a role, usage or status
            do not have.
        **values: What is known beforehand, as for :func:`inferlog.bind_inference`. Of a decorated function, a value
            may be a callable that finds it in the result, for a stream in its last item:
            ``output_tokens=lambda answer: answer.usage.completion_tokens``. What the call itself states wins.
    """
    if first_token is not None:
        if not callable(first_token):
            raise TypeError(f"track_performance: first_token is {first_token!r:.80}; expected a callable")
        check_answers_at_once("first_token", first_token)
    if callable(target) or isinstance(target, (classmethod, staticmethod)):
        return Tracker(None, {}, separate=False)(target)
    return Tracker(target, values, separate=separate, first_token=first_token)
