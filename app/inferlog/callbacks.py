"""Callables of the service's own that are asked at the end of a request: what they raise must not leave them."""

import inspect
from collections.abc import Callable
from typing import Any

from inferlog.context import Inference, raised


def check_answers_at_once(name: str, given: Callable[..., Any]) -> None:
    """
    Refuse an async callable *given* as argument *name*.

    Raises:
        TypeError: If what it returns would have to be awaited.
    """
    if inspect.iscoroutinefunction(given) or inspect.iscoroutinefunction(getattr(given, "__call__", None)):  # noqa: B004 (its kind is asked for)
        raise TypeError(f"{name} is an async function; expected one that returns the value itself, without await")


def ask(inference: Inference, name: str, find: Callable[[], Any]) -> None:
    """
    State as *name* what *find* returns, or note why that was not possible.

    Nothing is awaited meanwhile, so that a CancelledError or GeneratorExit from here is the callable's own, not one
    that the event loop or the server has for the request. Only Ctrl-C may come at any line.
    """
    try:
        inference.bind({name: find()})
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 (the service's callable; whatever it raises must not reach the client)
        inference.refused.append(raised(name, error))
