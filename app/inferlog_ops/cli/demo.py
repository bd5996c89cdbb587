"""``inferlog demo``: runs a service, its traffic, the shipper and the dashboards, end to end."""

import os
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from enum import StrEnum
from time import sleep
from typing import TYPE_CHECKING, Annotated

import typer

from inferlog_ops.cli.options import HomeDir, Json, Namespace
from inferlog_ops.core.console import err, out, print_json
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.exits import interrupt_on_signal
from inferlog_ops.core.home import Home, find_default_home
from inferlog_ops.core.progress import show_progress

if TYPE_CHECKING:
    from inferlog_ops.demo.services import Page, Services
    from inferlog_ops.demo.summary import DemoResult

_SECONDS_BETWEEN_TABLES = 2.0


class DemoBackend(StrEnum):
    """Model backend of the inference service."""

    LLAMA = "llama"
    SIMULATED = "simulated"


_DEFAULT_REQUESTS = {DemoBackend.LLAMA: 60, DemoBackend.SIMULATED: 2_000}


def demo(
    once: Annotated[bool, typer.Option("--once", help="Exit after the table instead of running on.")] = False,
    json: Json = False,
    requests: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Number of requests to send. Default: 60, simulated 2000.")
    ] = None,
    backend: Annotated[
        DemoBackend, typer.Option(help="llama: a real language model on this machine; simulated: only its delays.")
    ] = DemoBackend.LLAMA,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the inference service; 0 selects a free port.")
    ] = 8000,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    Run an inference service, send requests, and show the figures from Elasticsearch.

    Starts engine, server, shipper and dashboards, and stops them at the end. Uses the cluster of ELASTICSEARCH_URL
    if it is set.
    """
    from inferlog_ops.core.cluster import resolve_cluster
    from inferlog_ops.demo import measure, services, summary

    home_dir = Home((home or find_default_home()).absolute())
    cluster = resolve_cluster(None, namespace) if os.environ.get("ELASTICSEARCH_URL") else None
    with interrupt_on_signal(), services.hold_lock(home_dir), ExitStack() as cleanup:
        with show_progress() as report:
            stays = not (once or json)
            running = services.start_services(
                home_dir, cluster, backend=backend, port=port, namespace=namespace, with_page=stays, report=report
            )
            started = cleanup.enter_context(running)
            if started.page:
                _announce_page(started.page)
            result, began = measure.run_demo(
                started, home_dir, requests=requests or _DEFAULT_REQUESTS[backend], backend=backend, report=report
            )
        if json:
            print_json(result.as_json())
        elif once:
            out.print(summary.build_report(result))
        else:
            _refresh_until_interrupted(started, result, began)
    if not result.complete:
        raise typer.Exit(1)


def _announce_page(page: "Page") -> None:
    """Print the address of the dashboards, or the reason why they are not available; the demo continues."""
    from inferlog_ops.preview.address import open_in_browser

    try:
        url = page.wait_for_url()
    except OperatorError as error:
        err.print(f"The dashboards are not available: {error}", markup=False, highlight=False)
        return
    err.print(f"The dashboards fill while the requests run. Open {url}", highlight=False)
    open_in_browser(url, wanted=None)


def _refresh_until_interrupted(started: "Services", result: "DemoResult", began: datetime) -> None:
    """Print the result, then refresh the table until Ctrl-C."""
    from rich.live import Live

    from inferlog_ops.demo import measure, summary

    with suppress(KeyboardInterrupt):  # the way to stop the demo, from here on
        out.print(summary.build_report(result))
        err.print(
            f"Service: {started.server_url}, Elasticsearch: {started.cluster.shown_url}. Ctrl-C stops everything.",
            highlight=False,
        )
        with Live(console=out, auto_refresh=False, transient=True) as live:
            while True:
                started.check()
                figures = measure.fetch_figures(started, began, datetime.now(UTC))
                live.update(summary.build_version_table(figures), refresh=out.is_terminal)
                sleep(_SECONDS_BETWEEN_TABLES)
