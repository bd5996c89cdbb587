"""``inferlog trace``: prints the span tree of one correlation id over all services."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url, open_cluster
from inferlog_ops.core.console import err, escape_control, out, print_json
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.exits import ROWS_MISSING

if TYPE_CHECKING:
    from inferlog_ops.query.trace import FoundDocuments, Span

_STYLES = {"success": "green", "rejected": "yellow", "error": "red", "cancelled": "magenta"}


def trace(
    correlation_id: Annotated[str, typer.Argument(help="X-Correlation-ID of a response.")],
    lines: Annotated[bool, typer.Option("--lines", help="Also print the services' log lines.")] = False,
    json: Json = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    Show every service's span in one request tree, and its share of the latency.

    Exit code 3: requests or log lines are missing; at most 1 000 of each are shown.
    """
    from inferlog_ops.query import trace as traces

    cluster = open_cluster(url, namespace, home)
    with cluster.build_client() as client:
        requests = traces.find_documents(client, cluster, "events", correlation_id)
        logged = (
            traces.find_documents(client, cluster, "app", correlation_id)
            if lines
            else traces.FoundDocuments(documents=[], missing=0)
        )
    outermost = traces.build_tree(requests.documents)
    if not outermost:
        raise OperatorError(
            f"no event has the correlation id {correlation_id!r} in namespace {cluster.namespace!r} of "
            f"{cluster.shown_url}; it may not be shipped yet"
        )
    rows = _build_rows(outermost)
    if json:
        print_json(
            {
                "correlation_id": correlation_id,
                "hops": rows,
                "missing_hops": requests.missing,
                "lines": logged.documents,
                "missing_lines": logged.missing,
            }
        )
    else:
        out.print(_build_table(rows))
        for line in logged.documents:
            out.print(Text(escape_control(_format_line(line))))
        _print_missing(requests, "requests")
        _print_missing(logged, "lines")
    if requests.missing or logged.missing:
        raise typer.Exit(ROWS_MISSING)


def _format_line(line: dict[str, Any]) -> str:
    level, message = line.get("log", {}).get("level", ""), line.get("message", "")
    return f"{line['@timestamp']}  {line['service']['name']}  {level}  {message}"


def _print_missing(found: "FoundDocuments", unit: str) -> None:
    if found.missing:
        shown = len(found.documents)
        err.print(Text(f"{found.missing:,} later {unit} are missing: the first {shown:,} are shown", style="yellow"))


def _build_rows(outermost: list["Span"]) -> list[dict[str, Any]]:
    total_seconds = sum(span.latency_seconds for span in outermost) or 1.0
    first = min(span.began for span in outermost)
    return [
        {
            "depth": depth,
            "service": span.event["service"]["name"],
            "request_id": span.event.get("request_id"),
            "model_version": span.event.get("model_version"),
            "status": span.event["status"],
            "begin_seconds": round((span.began - first).total_seconds(), 6),
            "latency_seconds": round(span.latency_seconds, 6),
            "own_seconds": round(span.own_seconds, 6),
            "own_share": round(span.own_seconds / total_seconds, 4),
        }
        for outer in outermost
        for depth, span in outer.walk()
    ]


def _build_table(rows: list[dict[str, Any]]) -> Table:
    from inferlog_ops.query.library import NO_VALUE

    table = Table("service", "request id", "model version", "status", box=None, pad_edge=False)
    for title in ("begin s", "latency s", "own s", "own share"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            Text("  " * row["depth"] + escape_control(row["service"])),
            Text(escape_control(row["request_id"] or "-")),
            Text(escape_control(row["model_version"] or NO_VALUE)),
            Text(escape_control(row["status"]), style=_STYLES.get(row["status"], "")),
            f"{row['begin_seconds']:.3f}",
            f"{row['latency_seconds']:.3f}",
            f"{row['own_seconds']:.3f}",
            f"{row['own_share']:.1%}",
        )
    return table
