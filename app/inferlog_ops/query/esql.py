"""Edits of ES|QL text: drop limits, columns and failure stores, group model versions, count rows before a limit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

OTHER_VERSIONS = "(other)"
"""The row of all model versions that have no row of their own."""

_COMMAND_BEGINS = re.compile(r"^(?=\| )", re.MULTILINE)
_LIMIT = re.compile(r"\| LIMIT (\d+)\s*\Z")
_FAILURE_STORES = re.compile(r",([^\s,]+)::failures\b")
_PARAMETER = "_model_version_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """
    A ``LIMIT`` of a query.

    Attributes:
        rows: Maximum number of rows.
        counting: Query that returns the number of rows before the limit, in the column ``counted``.
    """

    rows: int
    counting: str


def find_answer_limit(text: str) -> Limit | None:
    """Return the last limit, which applies to the rows of the answer; None without limits."""
    limits = _find_limits(text)
    return limits[-1] if limits else None


def find_read_limits(text: str) -> list[Limit]:
    """Return the limits before the last one: they restrict the input of later commands."""
    return _find_limits(text)[:-1]


def drop_limits(text: str) -> str:
    """Return *text* without its ``LIMIT`` commands, and without the ``SORT`` commands before them."""
    return "".join(each for each in _split_commands(text) if not each.startswith(("| LIMIT ", "| SORT "))).rstrip()


def keep_columns(text: str, columns: Sequence[str]) -> str:
    """Return *text* with only *columns* in its rows; Elasticsearch then computes no figure that only others need."""
    return f"{text.rstrip()}\n| KEEP {', '.join(columns)}\n"


def find_failure_stores(text: str) -> list[str]:
    """Return the data streams, or patterns, whose failure stores *text* reads in addition to others."""
    return _FAILURE_STORES.findall(text)


def drop_failure_stores(text: str) -> str:
    """Return *text* without the failure stores that it reads in addition to others."""
    return _FAILURE_STORES.sub("", text)


def group_other_versions(text: str, model_versions: Sequence[str]) -> tuple[str, list[dict[str, str]]]:
    """
    Group all model versions except *model_versions* and null as ``(other)``.

    Returns:
        The text and its query parameters.
    """
    parameters = [{f"{_PARAMETER}{number}": version} for number, version in enumerate(model_versions)]
    names = ", ".join(f"?{name}" for parameter in parameters for name in parameter)
    commands = _split_commands(text)
    first_stats = next(place for place, command in enumerate(commands) if command.startswith("| STATS"))
    grouping = (
        "| EVAL model_version = CASE(\n"
        f"    model_version IS NULL OR model_version IN ({names}), model_version,\n"
        f'    "{OTHER_VERSIONS}")\n'
    )
    return "".join([*commands[:first_stats], grouping, *commands[first_stats:]]), parameters


def _find_limits(text: str) -> list[Limit]:
    commands = _split_commands(text)
    return [
        Limit(
            rows=int(match[1]),
            counting="".join(_drop_last_sort(commands[:place])) + "| STATS counted = COUNT(*)\n| LIMIT 1\n",
        )
        for place, command in enumerate(commands)
        if (match := _LIMIT.match(command))
    ]


def _drop_last_sort(commands: list[str]) -> list[str]:
    return commands[:-1] if commands[-1].startswith("| SORT ") else commands


def _split_commands(text: str) -> list[str]:
    """Split *text* before each command except the first; comments stay with the command above."""
    return _COMMAND_BEGINS.split(text)
