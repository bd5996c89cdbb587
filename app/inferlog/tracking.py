"""``track_performance``: timing and outcome of a function or a block."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from inferlog.call import Call
from inferlog.context import Inference, check_synchronous, current_inference
from inferlog.streams import FirstToken, has_content
from inferlog.wrapping import get_name, wrap

_Function = TypeVar("_Function", bound="Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[Any, Any]")


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
                "track_performance: first_token applies to streams, and a block has no stream; "
                "bind time_to_first_token_seconds in the block"
            )
        if any(map(callable, self._values.values())):
            raise TypeError(
                f"track_performance: {', '.join(_select_callables(self._values))} takes a result, "
                "and a block has no result; set the value on `call` of `with … as call`"
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
        name, separate, from_result = self._name or get_name(function), self._separate, _select_callables(self._values)
        first_token = self._first_token or has_content
        known = Inference()  # checked once for all calls
        known.bind({name: value for name, value in self._values.items() if name not in from_result})

        def begin() -> Call:
            return Call(name, known.copy(), from_result, separate=separate, first_token=first_token)

        timed: _Function = wrap(function, begin)
        return timed

    def _pop_innermost(self) -> Call:
        """Remove and return the call of the ending block: that of this thread and task, if several are open."""
        current = current_inference.get()
        calls = self._open[::-1]
        # A block that ends in another context than it started in, as in a yielding dependency, has lost its context.
        call = next((call for call in calls if call.context is current), calls[0])
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
    ``model_latency_seconds``, its tokens and its model version to it; several calls are summed. A call that ends after
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
        return Tracker(None, {}, separate=False)(target)
    return Tracker(target, values, separate=separate, first_token=first_token)
