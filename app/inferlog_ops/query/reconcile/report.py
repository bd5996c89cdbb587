"""A reconciliation as a person and as a program read it."""

from collections.abc import Sequence
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from inferlog_ops.core.console import printable
from inferlog_ops.query.reconcile.figures import FEWEST, PERCENTS, Comparison, Percentiles
from inferlog_ops.query.reconcile.matching import Mismatch
from inferlog_ops.query.reconcile.result import Result
from inferlog_ops.query.timerange import iso

_SHOWN: Final = 10
_NONE: Final = "-"
_VERDICTS: Final = {
    True: Text("same", style="green"),
    False: Text("apart", style="red"),
    None: Text("too few", style="yellow"),
}


def as_json(result: Result) -> dict[str, Any]:
    """Return *result* for a program: null for what is not known."""
    return {
        "matches": result.matches,
        "from": iso(result.start),
        "to": iso(result.end),
        "sent": result.sent,
        "outcomes": {str(outcome): count for outcome, count in result.outcomes.items()},
        "with_event": result.with_event,
        "lost": len(result.lost),
        "lost_ids": result.lost[:_SHOWN],
        "without_event": result.without_event,
        "duplicated": len(result.duplicated),
        "duplicated_ids": result.duplicated[:_SHOWN],
        "surplus_events": result.surplus,
        "of_them_copies": result.copies,
        "events_without_request": result.strangers,
        "events_without_request_ids": result.some_strangers[:_SHOWN],
        "events_still_coming": result.still_coming,
        "different_ends": len(result.mismatches),
        "different_ends_shown": [_mismatch_as_json(each) for each in result.mismatches[:_SHOWN]],
        "tolerance": {"share": result.tolerance.share, "seconds": result.tolerance.seconds},
        "latencies": [_comparison_as_json(each) for each in result.comparisons],
    }


def as_table(result: Result) -> Table:
    """Return the latencies, three rows for each model version and each route."""
    table = Table("latency (s)", box=None, pad_edge=False, header_style="bold")
    for title in ("requests", "from due", "from sent", "dashboard", "difference", "", "before the service"):
        table.add_column(title, justify="right")
    table.add_column("verdict")
    for comparison in result.comparisons:
        for percent in PERCENTS:
            table.add_row(*_cells(comparison, percent))
    return table


def account(result: Result) -> list[Text]:
    """Return what became of the requests, in lines."""
    ends = ", ".join(f"{count:,} {outcome}" for outcome, count in result.outcomes.items() if count)
    lines = [Text(f"{result.sent:,} requests sent: {ends}. {result.with_event:,} have an event.")]
    found = (
        ("lost", "answered, and without an event", len(result.lost), result.lost),
        (
            "duplicated",
            f"{result.surplus:,} events too many, {result.copies:,} of them copies",
            len(result.duplicated),
            result.duplicated,
        ),
        ("events without request", "", result.strangers, result.some_strangers),
        ("different ends", "", len(result.mismatches), [_told(each) for each in result.mismatches[:_SHOWN]]),
    )
    for name, meaning, count, examples in found:
        if count:
            explained = f" ({meaning})" if meaning else ""
            lines.append(Text(f"{name}: {count:,}{explained}: {_listed(examples, count)}", style="red"))
        else:
            lines.append(Text(f"{name}: 0", style="green"))
    if result.without_event:
        lines.append(Text(f"without answer and event: {result.without_event:,}; nothing says that they arrived"))
    return lines


def sentences(result: Result) -> list[str]:
    """Return what has to be said below the table; the verdict last."""
    said = [_explained(each) for each in result.comparisons if each.group == "http.route" and 99 in each.of_dashboard]
    if any(comparison.agrees(percent) is None for comparison in result.comparisons for percent in PERCENTS):
        least = ", ".join(f"a p{percent} {count}" for percent, count in FEWEST.items())
        said.append(f"A verdict takes requests: {least}.")
    if result.still_coming:
        said.append(
            "Events kept coming until the last look: one too many may have come later. If they are others', "
            "--run-id leaves them out; else look again."
        )
    return [*said, _verdict(result)]


def _explained(comparison: Comparison) -> str:
    """Say what the difference between the two p99 is made of."""
    sent, events, dashboard = (
        figures[99] for figures in (comparison.from_sent, comparison.of_events, comparison.of_dashboard)
    )
    way = ""
    if 99 in comparison.before_service:
        way = f"; a single request spends there {_ms(comparison.before_service[50])} (p50), "
        way += f"{_ms(comparison.before_service[99])} (p99)"
    return (
        f"p99 of {printable(comparison.name)}: {_ms(sent - events)} between the client and where the service measures "
        f"(network, the wait until it takes the request{way}), {_ms(events - dashboard)} between all events "
        f"and what the query makes of them. The load generator sent late by {_ms(comparison.sent_late[50])} (p50), "
        f"{_ms(comparison.sent_late[99])} (p99): only from due on that counts."
    )


def _verdict(result: Result) -> str:
    if result.matches:
        return _agreement(result)
    if not result.with_event:
        return "No request has an event: there is nothing to compare."
    wrong = [
        name
        for name, is_wrong in (
            ("requests are lost", result.lost),
            ("requests are duplicated", result.duplicated),
            ("events are there without a request", result.strangers),
            ("client and event tell different ends", result.mismatches),
            (f"latencies are apart by more than {result.tolerance}", result.apart),
        )
        if is_wrong
    ]
    return f"Clients and dashboards do not say the same: {', '.join(wrong)}."


def _agreement(result: Result) -> str:
    """Name the percentiles that were judged, and of what where that was not everything."""
    judged = {percent: [each.name for each in result.comparisons if each.agrees(percent)] for percent in PERCENTS}
    if not any(judged.values()):
        which = "answered request" if result.without_event else "request"
        return f"Every {which} has its event; too few requests to judge latencies."
    everyone = len(result.comparisons)
    if all(len(names) == everyone for names in judged.values()):
        return f"Clients and dashboards say the same, within {result.tolerance}."
    same = ", ".join(
        f"p{percent}" if len(names) == everyone else f"p{percent} ({_listed(names, len(names))})"
        for percent, names in judged.items()
        if names
    )
    return f"Clients and dashboards say the same {same}, within {result.tolerance}; too few requests to judge the rest."


def _cells(comparison: Comparison, percent: int) -> tuple[str | Text, ...]:
    difference = comparison.difference_seconds(percent)
    of_dashboard = comparison.of_dashboard.get(percent)
    share = difference / of_dashboard if difference is not None and of_dashboard else None
    return (
        Text(f"{printable(comparison.name)} p{percent}"),
        f"{comparison.requests:,}",
        _seconds(comparison.from_due, percent),
        _seconds(comparison.from_sent, percent),
        _seconds(comparison.of_dashboard, percent),
        _NONE if difference is None else f"{difference:+.4f}",
        _NONE if share is None else f"{share:+.1%}",
        _seconds(comparison.before_service, percent),
        _VERDICTS[comparison.agrees(percent)],
    )


def _comparison_as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "group": comparison.group,
        "name": comparison.name,
        "requests": comparison.requests,
        **{
            f"p{percent}": {
                "sent_late_seconds": comparison.sent_late.get(percent),
                "client_from_due_seconds": comparison.from_due.get(percent),
                "client_from_sent_seconds": comparison.from_sent.get(percent),
                "events_seconds": comparison.of_events.get(percent),
                "dashboard_seconds": comparison.of_dashboard.get(percent),
                "difference_seconds": comparison.difference_seconds(percent),
                "before_service_seconds": comparison.before_service.get(percent),
                "agrees": comparison.agrees(percent),
            }
            for percent in PERCENTS
        },
    }


def _mismatch_as_json(mismatch: Mismatch) -> dict[str, Any]:
    return {
        "correlation_id": mismatch.correlation_id,
        "outcome": mismatch.outcome,
        "client_status_code": mismatch.client_code,
        "status": mismatch.status,
        "event_status_code": mismatch.event_code,
    }


def _told(mismatch: Mismatch) -> str:
    client = f"{mismatch.outcome} ({mismatch.client_code or 'no code'})"
    return f"{mismatch.correlation_id} {client} is {mismatch.status} ({mismatch.event_code or 'no code'})"


def _listed(examples: Sequence[str], count: int) -> str:
    shown = ", ".join(printable(each) for each in examples[:_SHOWN])
    return shown if count <= _SHOWN else f"{shown} …"


def _seconds(percentiles: Percentiles, percent: int) -> str:
    return f"{percentiles[percent]:.4f}" if percent in percentiles else _NONE


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"
