"""Errors that the user can fix: one sentence, no traceback."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

_Thing = TypeVar("_Thing")


class OperatorError(Exception):
    """
    An error that the user at the terminal can fix.

    The message is one sentence: place, found value, expected value, remedy.
    The command line prints it to stderr and exits with *exit_code*.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def lookup(name: str, things: Mapping[str, _Thing], *, kind: str, otherwise: str, cutoff: float = 0.6) -> _Thing:
    """
    Return the entry of *things* with this *name*.

    Args:
        name: As the user typed it.
        things: All entries by name.
        kind: Noun for the message, such as "query".
        otherwise: Advice if no name is similar.
        cutoff: Least similarity of a suggested name, from 0 to 1.

    Raises:
        OperatorError: If no entry has that name; suggests the most similar one.
    """
    if name in things:
        return things[name]
    nearest = difflib.get_close_matches(name, things, n=1, cutoff=cutoff)
    advice = f"did you mean {nearest[0]}?" if nearest else otherwise
    raise OperatorError(f"there is no {kind} {name!r}; {advice}", exit_code=2)
