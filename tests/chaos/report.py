"""Results of the trials as a table, as Markdown, and as JSON. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from tests.chaos.scenario import TrialResult

_COLUMNS: Final = (
    "fault",
    "sent",
    "answered",
    "written",
    "found",
    "lost",
    "duplicated",
    "dead letters",
    "dropped",
    "lost_events",
    "p99 ms before",
    "during",
    "caught up s",
    "promises",
)


def build_table(results: Sequence[TrialResult]) -> Table:
    """Return a table with one row per result."""
    table = Table(*_COLUMNS)
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
        column.overflow = "fold"  # show narrow columns completely
    for result in results:
        name, *figures = _build_cells(result)
        # The second of a pair below the first: there are many columns.
        table.add_row(*map(Text, (name.replace("+", "+\n"), *figures)), style="red" if result.broken else None)
    return table


def render_markdown(results: Sequence[TrialResult]) -> str:
    """Return the table in Markdown, followed by the violated invariants."""
    rows = [_COLUMNS, ("---",) + ("--:",) * (len(_COLUMNS) - 1), *map(_build_cells, results)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    broken = "\n".join(f"- {sentence}" for sentence in list_violations(results))
    return f"{table}\n\n{broken}".rstrip()


def list_violations(results: Sequence[TrialResult]) -> list[str]:
    """Return the violated invariants, each with the name of its trial."""
    return [f"{result.trial.name}: {sentence}" for result in results for sentence in result.broken]


def build_json(result: TrialResult) -> dict[str, Any]:
    """Return one result as plain data."""
    trial, seen = result.trial, result.seen
    known = {
        "fault": trial.name,
        "what": trial.what,
        "seconds": [fault.seconds for fault in trial.faults],
        "broken": result.broken,
    }
    if seen is None:
        return known
    account, traffic = seen.account, seen.traffic
    return known | {
        "written": account.written,
        "found": account.found,
        "lost": account.lost,
        "lost_by_removal": account.lost_by_removal,
        "duplicated": account.duplicated,
        "dead_lettered": account.dead_lettered,
        "dropped": sum(seen.dropped.values()),
        "reported_lost": sum(seen.reported.values()),
        "requests_sent": traffic.sent,
        "requests_answered": traffic.answered,
        "requests_failed": traffic.failed,
        "answered_without_event": traffic.without_event,
        "p99_before_seconds": traffic.p99_before_seconds,
        "p99_during_seconds": traffic.p99_during_seconds,
        "caught_up_seconds": seen.caught_up_seconds,
    }


def _build_cells(result: TrialResult) -> tuple[str, ...]:
    seen = result.seen
    if seen is None:
        return (result.trial.name, *("-",) * (len(_COLUMNS) - 2), "it did not come to its end")
    account, traffic = seen.account, seen.traffic
    return (
        result.trial.name,
        f"{traffic.sent:,}",
        f"{traffic.answered:,}",
        f"{account.written:,}",
        f"{account.found:,}",
        f"{account.lost} by deletion" if account.lost_by_removal else str(account.lost),
        str(account.duplicated),
        str(account.dead_lettered),
        str(sum(seen.dropped.values())),
        str(sum(seen.reported.values())),
        _format_milliseconds(traffic.p99_before_seconds),
        _format_milliseconds(traffic.p99_during_seconds),
        "never" if seen.caught_up_seconds is None else f"{seen.caught_up_seconds:.1f}",
        f"{len(result.broken)} broken" if result.broken else "kept",
    )


def _format_milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f}"
