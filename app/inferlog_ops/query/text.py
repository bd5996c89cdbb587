"""The ES|QL text of a query as a chain of commands: to leave some out, put one in, or count what a limit cuts off."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

OTHER_VERSIONS = "(other)"
"""The row of all model versions that have no row of their own."""

_COMMAND_BEGINS = re.compile(r"^(?=\| )", re.MULTILINE)
_LIMIT = re.compile(r"\| LIMIT (\d+)\s*\Z")
_PARAMETER = "_model_version_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """
    A ``LIMIT`` of a query.

    Attributes:
        rows: At most so many pass.
        counting: The query of one row, ``counted``: how many rows there are in front of the limit.
    """

    rows: int
    counting: str


def limit_of_answer(text: str) -> Limit | None:
    """Return the limit on the rows of the answer, which is the last one; None if there is none."""
    limits = _limits(text)
    return limits[-1] if limits else None


def limits_of_reading(text: str) -> list[Limit]:
    """Return the limits before the last one: on the rows that the rest of the query is computed from."""
    return _limits(text)[:-1]


def without_limits(text: str) -> str:
    """Return *text* without its ``LIMIT`` commands, and without the ``SORT`` commands that only choose for them."""
    return "".join(each for each in _commands(text) if not each.startswith(("| LIMIT ", "| SORT "))).rstrip()


def with_versions_of_their_own(text: str, model_versions: Sequence[str]) -> tuple[str, list[dict[str, str]]]:
    """
    Group every other model version than *model_versions*, and than none at all, as ``(other)``.

    Returns:
        The text, and the parameters with which it has to be sent.
    """
    parameters = [{f"{_PARAMETER}{number}": version} for number, version in enumerate(model_versions)]
    names = ", ".join(f"?{name}" for parameter in parameters for name in parameter)
    commands = _commands(text)
    first_stats = next(place for place, command in enumerate(commands) if command.startswith("| STATS"))
    grouping = (
        "| EVAL model_version = CASE(\n"
        f"    model_version IS NULL OR model_version IN ({names}), model_version,\n"
        f'    "{OTHER_VERSIONS}")\n'
    )
    return "".join([*commands[:first_stats], grouping, *commands[first_stats:]]), parameters


def _limits(text: str) -> list[Limit]:
    commands = _commands(text)
    return [
        Limit(
            rows=int(match[1]),
            counting="".join(_unsorted(commands[:place])) + "| STATS counted = COUNT(*)\n| LIMIT 1\n",
        )
        for place, command in enumerate(commands)
        if (match := _LIMIT.match(command))
    ]


def _unsorted(commands: list[str]) -> list[str]:
    return commands[:-1] if commands[-1].startswith("| SORT ") else commands


def _commands(text: str) -> list[str]:
    """Split *text* before each command but the first; comments stay with the command above them."""
    return _COMMAND_BEGINS.split(text)
