"""``inferlog reconcile``: what clients saw against what the index holds."""

import math
from pathlib import Path
from typing import Annotated

import typer

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url
from inferlog_ops.core.console import out, print_json
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home, default_home

_MOMENT = "%Y-%m-%d %H:%M:%S UTC"


def _finite(seconds: float) -> float:
    """
    Take a number of seconds that ends.

    Raises:
        BadParameter: If it does not, or is none.
    """
    if not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds} is no number of seconds.")
    return seconds


def reconcile(
    records: Annotated[
        list[Path], typer.Argument(help="Records that scripts/traffic has written: files, or directories of .jsonl.")
    ],
    *,
    run_id: Annotated[
        str | None,
        typer.Option(help="Only requests and events whose correlation id begins so: others used the service, too."),
    ] = None,
    service: Annotated[
        str | None, typer.Option(help="Only events of this service, where requests pass several.")
    ] = None,
    tolerance: Annotated[
        str, typer.Option(help="How far client and dashboard may be apart, of the dashboard's figure: 2% or 0.02 …")
    ] = "2%",
    tolerance_seconds: Annotated[
        float, typer.Option(min=0, callback=_finite, help="… or by so many seconds, if that is more.")
    ] = 0.002,
    wait_seconds: Annotated[
        float, typer.Option(min=0, callback=_finite, help="How long events may take to be found.")
    ] = 60.0,
    settle_seconds: Annotated[
        float,
        typer.Option(
            min=0, callback=_finite, help="How long no event may come before the last look: a copy comes late."
        ),
    ] = 3.0,
    json: Json = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    Match a load generator's records with events, request by request, and its percentiles with the dashboards'.

    Lost is what was answered and has no event; duplicated, what has more than one. p50, p95 and p99 as the client saw
    them from sending on are judged against those of the queries p99_latency and routes over the same time. What each
    request took longer for its client than in its event stands beside: network, and the wait before the service.

    Ends with 1 if anything is lost, duplicated, without a request, ended differently, or apart beyond the tolerance.
    """
    from inferlog_ops.core.cluster import cluster_from
    from inferlog_ops.core.progress import after_a_while, shown_progress
    from inferlog_ops.engine.control import running_url
    from inferlog_ops.query.reconcile import report
    from inferlog_ops.query.reconcile.events import Scope
    from inferlog_ops.query.reconcile.figures import Tolerance
    from inferlog_ops.query.reconcile.records import read_records
    from inferlog_ops.query.reconcile.run import Wanted, reconcile

    wanted = Wanted(
        scope=Scope(run_id=run_id, service_name=service),
        tolerance=Tolerance(share=_share(tolerance), seconds=tolerance_seconds),
        wait_seconds=wait_seconds,
        settle_seconds=settle_seconds,
    )
    engine_home = Home(home or default_home()).engine
    cluster = cluster_from(url, namespace, fallback_url=None if url else running_url(engine_home))
    with shown_progress() as show:
        say = after_a_while(show)
        sent = read_records(records, run_id=run_id, say=say)
        result = reconcile(cluster, sent, wanted, say)
    if json:
        print_json(report.as_json(result))
    else:
        out.print(f"{result.start:{_MOMENT}} to {result.end:{_MOMENT}}", highlight=False)
        for line in report.account(result):
            out.print(line)
        out.print(report.as_table(result))
        for sentence in report.sentences(result):
            out.print(sentence, highlight=False, markup=False)
    if not result.matches:
        raise typer.Exit(1)


def _share(text: str) -> float:
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
