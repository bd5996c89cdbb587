"""Finds what a person has named, or says what was probably meant."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

from inferlog_ops.core.errors import OperatorError

_Thing = TypeVar("_Thing")


def lookup(name: str, things: Mapping[str, _Thing], *, kind: str, otherwise: str, cutoff: float = 0.6) -> _Thing:
    """
    Return the one of *things* that has this *name*.

    Args:
        name: As the person gave it.
        things: Those that there are, by name.
        kind: What they are, such as "query".
        otherwise: The advice where none has a name like it.
        cutoff: How like it another name has to be, from 0 to 1.

    Raises:
        OperatorError: If there is none of that name; says which is nearest.
    """
    if name in things:
        return things[name]
    nearest = difflib.get_close_matches(name, things, n=1, cutoff=cutoff)
    advice = f"did you mean {nearest[0]}?" if nearest else otherwise
    raise OperatorError(f"there is no {kind} {name!r}; {advice}", exit_code=2)
