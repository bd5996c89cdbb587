"""Output of a reconciliation: JSON, a table, and sentences."""

from collections.abc import Sequence
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from inferlog_ops.core.console import escape_control
from inferlog_ops.query.reconcile.latencies import FEWEST, PERCENTS, LatencyComparison, Percentiles
from inferlog_ops.query.reconcile.matching import Mismatch
from inferlog_ops.query.reconcile.reconciliation import ReconcileResult
from inferlog_ops.query.timerange import format_iso

_SHOWN: Final = 10
_NONE: Final = "-"
_VERDICTS: Final = {
    True: Text("same", style="green"),
    False: Text("apart", style="red"),
    None: Text("too few", style="yellow"),
}


def as_json(result: ReconcileResult) -> dict[str, Any]:
    """Return *result* as JSON values; null if unknown."""
    return {
        "matches": result.matches,
        "from": format_iso(result.start),
        "to": format_iso(result.end),
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
        "different_ends_shown": [_describe_mismatch(each) for each in result.mismatches[:_SHOWN]],
        "tolerance": {"share": result.tolerance.share, "seconds": result.tolerance.seconds},
        "latencies": [_describe_comparison(each) for each in result.comparisons],
    }


def as_table(result: ReconcileResult) -> Table:
    """Return the latencies, three rows for each model version and each route."""
    table = Table("latency (s)", box=None, pad_edge=False, header_style="bold")
    for title in ("requests", "from due", "from sent", "dashboard", "difference", "", "before the service"):
        table.add_column(title, justify="right")
    table.add_column("verdict")
    for comparison in result.comparisons:
        for percent in PERCENTS:
            table.add_row(*_format_cells(comparison, percent))
    return table


def count_lines(result: ReconcileResult) -> list[Text]:
    """Return lines with the counts of requests and events."""
    ends = ", ".join(f"{count:,} {outcome}" for outcome, count in result.outcomes.items() if count)
    lines = [Text(f"{result.sent:,} requests sent: {ends}. {result.with_event:,} have an event.")]
    found = (
        ("lost", "answered, without an event", len(result.lost), result.lost),
        (
            "duplicated",
            f"{result.surplus:,} events too many, {result.copies:,} of them copies",
            len(result.duplicated),
            result.duplicated,
        ),
        ("events without request", "", result.strangers, result.some_strangers),
        ("different ends", "", len(result.mismatches), [_format_mismatch(each) for each in result.mismatches[:_SHOWN]]),
    )
    for name, meaning, count, examples in found:
        if count:
            explained = f" ({meaning})" if meaning else ""
            lines.append(Text(f"{name}: {count:,}{explained}: {_join_ids(examples, count)}", style="red"))
        else:
            lines.append(Text(f"{name}: 0", style="green"))
    if result.without_event:
        lines.append(Text(f"without answer and event: {result.without_event:,}; they may never have arrived"))
    return lines


def list_findings(result: ReconcileResult) -> list[str]:
    """Return the sentences below the table, the verdict last."""
    findings = [
        _explain_difference(each)
        for each in result.comparisons
        if each.group == "http.route" and 99 in each.of_dashboard
    ]
    if any(comparison.agrees(percent) is None for comparison in result.comparisons for percent in PERCENTS):
        least = ", ".join(f"a p{percent} {count}" for percent, count in FEWEST.items())
        findings.append(f"Minimum requests for a verdict: {least}.")
    if result.still_coming:
        findings.append(
            "New events kept arriving until the timeout; duplicates may still follow. If they belong to other clients, "
            "exclude them with --run-id; otherwise run the command again."
        )
    return [*findings, _describe_verdict(result)]


def _explain_difference(comparison: LatencyComparison) -> str:
    """Return the parts of the difference between the two p99."""
    sent, events, dashboard = (
        figures[99] for figures in (comparison.from_sent, comparison.of_events, comparison.of_dashboard)
    )
    way = ""
    if 99 in comparison.before_service:
        way = f"; per request {_format_ms(comparison.before_service[50])} (p50), "
        way += f"{_format_ms(comparison.before_service[99])} (p99)"
    return (
        f"p99 of {escape_control(comparison.name)}: {_format_ms(sent - events)} between the client and the service's "
        f"measuring point (network, wait until the service accepts the request{way}), {_format_ms(events - dashboard)} "
        "between the exact percentile of the events and the query's. The load generator sent late by "
        f"{_format_ms(comparison.sent_late[50])} (p50), {_format_ms(comparison.sent_late[99])} (p99); "
        "only the latency from due includes that delay."
    )


def _describe_verdict(result: ReconcileResult) -> str:
    if result.matches:
        return _describe_agreement(result)
    if not result.with_event:
        return "No request has an event; nothing can be compared."
    wrong = [
        name
        for name, is_wrong in (
            ("requests are lost", result.lost),
            ("requests are duplicated", result.duplicated),
            ("there are events without a request", result.strangers),
            ("client and event record different ends", result.mismatches),
            (f"latencies differ by more than {result.tolerance}", result.apart),
        )
        if is_wrong
    ]
    return f"Clients and dashboards do not agree: {', '.join(wrong)}."


def _describe_agreement(result: ReconcileResult) -> str:
    """Return the judged percentiles, with their groups if not all groups were judged."""
    judged = {percent: [each.name for each in result.comparisons if each.agrees(percent)] for percent in PERCENTS}
    if not any(judged.values()):
        which = "answered request" if result.without_event else "request"
        return f"Every {which} has its event; too few requests to judge latencies."
    everyone = len(result.comparisons)
    if all(len(names) == everyone for names in judged.values()):
        return f"Clients and dashboards agree within {result.tolerance}."
    same = ", ".join(
        f"p{percent}" if len(names) == everyone else f"p{percent} ({_join_ids(names, len(names))})"
        for percent, names in judged.items()
        if names
    )
    return f"Clients and dashboards agree on {same} within {result.tolerance}; too few requests to judge the rest."


def _format_cells(comparison: LatencyComparison, percent: int) -> tuple[str | Text, ...]:
    difference = comparison.compute_difference_seconds(percent)
    of_dashboard = comparison.of_dashboard.get(percent)
    share = difference / of_dashboard if difference is not None and of_dashboard else None
    return (
        Text(f"{escape_control(comparison.name)} p{percent}"),
        f"{comparison.requests:,}",
        _format_seconds(comparison.from_due, percent),
        _format_seconds(comparison.from_sent, percent),
        _format_seconds(comparison.of_dashboard, percent),
        _NONE if difference is None else f"{difference:+.4f}",
        _NONE if share is None else f"{share:+.1%}",
        _format_seconds(comparison.before_service, percent),
        _VERDICTS[comparison.agrees(percent)],
    )


def _describe_comparison(comparison: LatencyComparison) -> dict[str, Any]:
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
                "difference_seconds": comparison.compute_difference_seconds(percent),
                "before_service_seconds": comparison.before_service.get(percent),
                "agrees": comparison.agrees(percent),
            }
            for percent in PERCENTS
        },
    }


def _describe_mismatch(mismatch: Mismatch) -> dict[str, Any]:
    return {
        "correlation_id": mismatch.correlation_id,
        "outcome": mismatch.outcome,
        "client_status_code": mismatch.client_code,
        "status": mismatch.status,
        "event_status_code": mismatch.event_code,
    }


def _format_mismatch(mismatch: Mismatch) -> str:
    client = f"{mismatch.outcome} ({mismatch.client_code or 'no code'})"
    return f"{mismatch.correlation_id} {client} is {mismatch.status} ({mismatch.event_code or 'no code'})"


def _join_ids(examples: Sequence[str], count: int) -> str:
    shown = ", ".join(escape_control(each) for each in examples[:_SHOWN])
    return shown if count <= _SHOWN else f"{shown} …"


def _format_seconds(percentiles: Percentiles, percent: int) -> str:
    return f"{percentiles[percent]:.4f}" if percent in percentiles else _NONE


def _format_ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"
