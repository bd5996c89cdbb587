"""Figures of a demo run: as data, as JSON and as text for a terminal."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from inferlog_ops.query.reconcile import reconcile_report
from inferlog_ops.query.reconcile.reconcile_report import list_findings
from inferlog_ops.query.reconcile.reconciliation import ReconcileResult

_OF_A_VERSION = (
    "requests",
    "errors",
    "error_rate",
    "requests_per_second",
    "p50_seconds",
    "p95_seconds",
    "p99_seconds",
    "time_to_first_token_p50_seconds",
    "input_tokens",
    "output_tokens",
    "output_tokens_per_second",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """
    Figures of the run. If nothing is missing, sent, written, shipped and found are equal.

    Attributes:
        sent: Number of requests sent.
        written: Number of their events in the log files.
        shipped: Number of written events that Elasticsearch acknowledged, with 201 or 409.
        found: Number of their events in the index.
        duplicates: Number of surplus documents in the index.
        dead_lettered: Number of written events that Elasticsearch rejected.
        setup_seconds: Time from the start of the command to the first request.
        versions: Rows of the query ``overview`` by model version.
        missing: Correlation ids of requests without an event in the index.
        unexpected: Correlation ids with more than one event.
        reconciled: Reconciliation of the client's records with events and dashboards.
    """

    sent: int
    written: int
    shipped: int
    found: int
    duplicates: int
    dead_lettered: int
    setup_seconds: float
    versions: dict[str, dict[str, Any]]
    missing: list[str]
    unexpected: list[str]
    reconciled: ReconcileResult

    @property
    def complete(self) -> bool:
        """True if every request has exactly one event, everywhere, with the same end."""
        return self.sent == self.written == self.shipped == self.found and not (
            self.duplicates or self.missing or self.unexpected or not self.reconciled.complete
        )

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return asdict(self) | {"reconciled": reconcile_report.as_json(self.reconciled)}


def group_by_version(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the rows of the query ``overview`` by model version."""
    return {row["model_version"]: {name: row[name] for name in _OF_A_VERSION} for row in rows}


def find_missing_and_unexpected(sent: Iterable[str], found: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the ids *sent* but not *found*, and the ids found more often than sent."""
    sent_counts, found_counts = Counter(sent), Counter(found)
    return sorted((sent_counts - found_counts).elements()), sorted((found_counts - sent_counts).elements())


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


def build_version_table(versions: dict[str, dict[str, Any]]) -> Table:
    """Return a table with one row per model version; an unknown figure is a dash, never 0."""
    table = Table("model version", title_justify="left")
    for title, _ in _COLUMNS.values():
        table.add_column(title, justify="right")
    for version, figures in versions.items():
        cells = ("-" if figures[name] is None else shape.format(figures[name]) for name, (_, shape) in _COLUMNS.items())
        table.add_row(Text(version), *cells)
    return table


def describe_balance(result: DemoResult) -> Text:
    """Return the line with the counts at every stage and its verdict."""
    line = (
        f"{result.sent} requests sent = {result.written} events written = {result.shipped} shipped "
        f"= {result.found} found; {result.duplicates} duplicates"
    )
    if result.complete:
        return Text(f"{line}. Nothing lost, nothing duplicated.", style="green")
    line = line.replace(" = ", ", ")
    named = "".join(
        f"\n{what}: {', '.join(ids[:20])}{' …' if len(ids) > 20 else ''}"
        for what, ids in (("without an event", result.missing), ("with more than one event", result.unexpected))
        if ids
    )
    return Text(f"{line}. The counts do not match.{named}", style="red")


def describe_reconciliation(result: DemoResult) -> Text:
    """Return the latencies of clients and dashboards, and the findings of the reconciliation."""
    figures = [
        f"p{percent} {comparison.from_sent[percent]:.3f} s and {comparison.of_dashboard[percent]:.3f} s"
        for comparison in result.reconciled.comparisons
        if comparison.group == "http.route"
        for percent in comparison.of_dashboard
    ]
    shown = [f"Latency of clients and dashboards: {', '.join(figures)}."] if figures else []
    return Text("\n".join([*shown, *list_findings(result.reconciled)]))


def build_report(result: DemoResult) -> Group:
    """Return the table, the balance, and the reconciliation."""
    return Group(build_version_table(result.versions), describe_balance(result), describe_reconciliation(result))
