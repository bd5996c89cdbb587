"""``inferlog reconcile``: matches the clients' records of requests with the events in Elasticsearch."""

import math
from pathlib import Path
from typing import Annotated

import typer

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url, open_cluster
from inferlog_ops.core.console import out, print_json
from inferlog_ops.core.errors import OperatorError


def _require_finite(seconds: float) -> float:
    """
    Return *seconds* if it is finite.

    Raises:
        BadParameter: If it is infinite or NaN.
    """
    if not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is not a finite number of seconds.")
    return seconds


def reconcile(
    records: Annotated[
        list[Path],
        typer.Argument(help="Records written by scripts/traffic: .jsonl files, or directories of them."),
    ],
    *,
    run_id: Annotated[
        str | None,
        typer.Option(help="Only requests and events whose correlation id starts with this prefix."),
    ] = None,
    service: Annotated[
        str | None, typer.Option(help="Only events of this service, if requests pass through several.")
    ] = None,
    tolerance: Annotated[
        str,
        typer.Option(help="Allowed difference between client and dashboard, relative to the dashboard: 2% or 0.02 …"),
    ] = "2%",
    tolerance_seconds: Annotated[
        float, typer.Option(min=0, callback=_require_finite, help="… or in seconds, whichever allows more.")
    ] = 0.002,
    wait_seconds: Annotated[
        float, typer.Option(min=0, callback=_require_finite, help="Maximum wait until the events are searchable.")
    ] = 60.0,
    settle_seconds: Annotated[
        float,
        typer.Option(
            min=0,
            callback=_require_finite,
            help="Quiet time without new events before the final read; duplicates arrive late.",
        ),
    ] = 3.0,
    json: Json = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    Match a load generator's records with events, request by request, and its percentiles with the dashboards'.

    A lost request was answered and has no event; a duplicated one has more than one. The client's p50, p95 and p99
    from sending are compared with the queries p99_latency and routes over the same range. An extra column shows the
    time per request outside the service: network, and the wait before the service accepts the request.

    Exit code 1: lost or duplicated requests, events without a request, different ends, or latencies out of tolerance.
    """
    from inferlog_ops.core.progress import delay_progress, show_progress
    from inferlog_ops.query.reconcile import reconcile_report
    from inferlog_ops.query.reconcile.events import EventScope
    from inferlog_ops.query.reconcile.latencies import Tolerance
    from inferlog_ops.query.reconcile.reconciliation import ReconcileSettings, reconcile
    from inferlog_ops.query.reconcile.records import read_records
    from inferlog_ops.query.timerange import format_utc

    settings = ReconcileSettings(
        scope=EventScope(run_id=run_id, service_name=service),
        tolerance=Tolerance(share=_parse_share(tolerance), seconds=tolerance_seconds),
        wait_seconds=wait_seconds,
        settle_seconds=settle_seconds,
    )
    cluster = open_cluster(url, namespace, home)
    with show_progress() as show:
        report = delay_progress(show)
        sent = read_records(records, run_id=run_id, report=report)
        result = reconcile(cluster, sent, settings, report)
    if json:
        print_json(reconcile_report.as_json(result))
    else:
        out.print(f"{format_utc(result.start)} to {format_utc(result.end)}", highlight=False)
        for line in reconcile_report.count_lines(result):
            out.print(line)
        out.print(reconcile_report.as_table(result))
        for sentence in reconcile_report.list_findings(result):
            out.print(sentence, highlight=False, markup=False)
    if not result.matches:
        raise typer.Exit(1)


def _parse_share(text: str) -> float:
    """
    Read ``2%`` or ``0.02``.

    Raises:
        OperatorError: If it is neither, or less than 0.
    """
    number, percent, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if rest or not 0 <= share < float("inf"):
        raise OperatorError(f"--tolerance is {text!r}; expected a share such as 2% or 0.02", exit_code=2)
    return share
