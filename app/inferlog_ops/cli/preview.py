"""``inferlog preview``: serves the dashboards to a browser, without Kibana."""

from pathlib import Path
from typing import Annotated

import typer

from inferlog_ops.cli.options import HomeDir, Namespace, Url, open_cluster
from inferlog_ops.core.console import err, out
from inferlog_ops.preview.address import DEFAULT_PORT, open_in_browser


def preview(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 selects a free port.")
    ] = DEFAULT_PORT,
    open_: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open a browser. Default: only on a terminal with a desktop."),
    ] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the page's address to this file while the page is available."),
    ] = None,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """Show the dashboards in a browser, with figures from Elasticsearch. The page listens on 127.0.0.1 only."""
    from inferlog_ops.core.streams import check_namespace
    from inferlog_ops.preview.serving import serve

    cluster = open_cluster(url, check_namespace(namespace), home)

    def announce(page: str) -> None:
        out.print(page, highlight=False)
        err.print(f"Dashboards from {cluster.shown_url}. Ctrl-C stops the server.", highlight=False)
        open_in_browser(page, wanted=open_)

    serve(cluster, port=port, ready_file=ready_file, on_ready=announce)
