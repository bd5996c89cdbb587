"""The demo's figures for a person."""

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from inferlog_ops.demo.result import Result
from inferlog_ops.query.reconcile.report import sentences

_COLUMNS = {
    "requests": ("requests", "{:,}"),
    "requests_per_second": ("req/s", "{:.2f}"),
    "error_rate": ("errors", "{:.1%}"),
    "p50_seconds": ("p50 s", "{:.3f}"),
    "p95_seconds": ("p95 s", "{:.3f}"),
    "p99_seconds": ("p99 s", "{:.3f}"),
    "time_to_first_token_p50_seconds": ("first token s", "{:.3f}"),
    "input_tokens": ("tokens in", "{:,}"),
    "output_tokens": ("tokens out", "{:,}"),
    "output_tokens_per_second": ("tokens/s", "{:.1f}"),
}


def version_table(versions: dict[str, dict[str, Any]]) -> Table:
    """Return a row for each model version. A figure that is not known is a dash, never a 0."""
    table = Table("model version", title_justify="left")
    for title, _ in _COLUMNS.values():
        table.add_column(title, justify="right")
    for version, figures in versions.items():
        cells = ("-" if figures[name] is None else shape.format(figures[name]) for name, (_, shape) in _COLUMNS.items())
        table.add_row(Text(version), *cells)
    return table


def account(result: Result) -> Text:
    """Return the line that says whether anything was lost or counted twice."""
    line = (
        f"{result.sent} requests sent = {result.written} events written = {result.shipped} shipped "
        f"= {result.found} found; {result.duplicates} duplicates"
    )
    if result.complete:
        return Text(f"{line}. Nothing lost, nothing counted twice.", style="green")
    line = line.replace(" = ", ", ")
    named = "".join(
        f"\n{what}: {', '.join(ids[:20])}{' …' if len(ids) > 20 else ''}"
        for what, ids in (("without an event", result.missing), ("with more than one event", result.unexpected))
        if ids
    )
    return Text(f"{line}. These do not match.{named}", style="red")


def both_sides(result: Result) -> Text:
    """Return what clients and dashboards say of the latency, and whether they say the same."""
    figures = [
        f"p{percent} {comparison.from_sent[percent]:.3f} s and {comparison.of_dashboard[percent]:.3f} s"
        for comparison in result.reconciled.comparisons
        if comparison.group == "http.route"
        for percent in comparison.of_dashboard
    ]
    shown = [f"Latency as clients and dashboards have it: {', '.join(figures)}."] if figures else []
    return Text("\n".join([*shown, *sentences(result.reconciled)]))


def report(result: Result) -> Group:
    """Return table, account, and the other side's view."""
    return Group(version_table(result.versions), account(result), both_sides(result))
