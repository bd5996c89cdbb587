"""``inferlog demo``: the main job, end to end."""

import os
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from enum import StrEnum
from time import sleep
from typing import TYPE_CHECKING, Annotated

import typer

from inferlog_ops.cli.options import HomeDir, Json, Namespace
from inferlog_ops.core.console import err, out, print_json
from inferlog_ops.core.ending import one_signal_ends
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home, default_home
from inferlog_ops.core.progress import shown_progress

if TYPE_CHECKING:
    from inferlog_ops.demo.page import Page
    from inferlog_ops.demo.result import Result
    from inferlog_ops.demo.services import Services

_SECONDS_BETWEEN_TABLES = 2.0


class Backend(StrEnum):
    """What answers the requests."""

    LLAMA = "llama"
    SIMULATED = "simulated"


_DEFAULT_REQUESTS = {Backend.LLAMA: 60, Backend.SIMULATED: 2_000}


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the table instead of staying up.")] = False,
    json: Json = False,
    requests: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="How many to send. Default: 60, simulated 2000.")
    ] = None,
    backend: Annotated[
        Backend, typer.Option(help="llama: a real language model on this machine; simulated: its delays only.")
    ] = Backend.LLAMA,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the inference service; 0 takes any free one.")] = 8000,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    Run a real inference service, send it requests, and show what Elasticsearch says of them.

    Starts engine, server, shipper and dashboards, and ends what it started. With ELASTICSEARCH_URL set, that cluster
    is used.
    """
    from inferlog_ops.core.cluster import cluster_from
    from inferlog_ops.demo import run, services, table

    place = Home((home or default_home()).absolute())
    cluster = cluster_from(None, namespace) if os.environ.get("ELASTICSEARCH_URL") else None
    with one_signal_ends(), services.held(place), ExitStack() as cleanup:
        with shown_progress() as say:
            stays = not (once or json)
            running = services.running(
                place, cluster, backend=backend, port=port, namespace=namespace, with_page=stays, say=say
            )
            started = cleanup.enter_context(running)
            if started.page:
                _tell_of(started.page)
            result, began = run.run(
                started, place, requests=requests or _DEFAULT_REQUESTS[backend], backend=backend, say=say
            )
        if json:
            print_json(result.as_json())
        elif once:
            out.print(table.report(result))
        else:
            _stay_up(started, result, began)
    if not result.complete:
        raise typer.Exit(1)


def _tell_of(page: "Page") -> None:
    """Say where the dashboards are while the requests run, or why they are not; the demo goes on either way."""
    from inferlog_ops.preview.address import open_in_browser

    try:
        url = page.url()
    except OperatorError as error:
        err.print(f"No dashboards this time: {error}", markup=False, highlight=False)
        return
    err.print(f"The dashboards fill while the requests run: open {url}", highlight=False)
    open_in_browser(url, wanted=None)


def _stay_up(started: "Services", result: "Result", began: datetime) -> None:
    """Show the result, then the table anew until Ctrl-C."""
    from rich.live import Live

    from inferlog_ops.demo import run, table

    with suppress(KeyboardInterrupt):  # the way to end it, as soon as there is something to see
        out.print(table.report(result))
        err.print(
            f"The service answers at {started.server_url}, Elasticsearch at {started.cluster.shown_url}. "
            "Ctrl-C ends all.",
            highlight=False,
        )
        with Live(console=out, auto_refresh=False, transient=True) as live:
            while True:
                started.check()
                figures = run.figures(started, began, datetime.now(UTC))
                live.update(table.version_table(figures), refresh=out.is_terminal)
                sleep(_SECONDS_BETWEEN_TABLES)
