"""``inferlog preview``: the dashboards in a browser, without a Kibana."""

from pathlib import Path
from typing import Annotated

import typer

from inferlog_ops.cli.options import HomeDir, Namespace, Url
from inferlog_ops.core.console import err, out
from inferlog_ops.core.home import Home, default_home
from inferlog_ops.preview.address import DEFAULT_PORT, open_in_browser


def preview(
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes any free one.")] = DEFAULT_PORT,
    open_: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open a browser. Default: yes on a terminal with a desktop.")
    ] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="A file that holds the page's address while it answers, for a program to read."
        ),
    ] = None,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """Show the dashboards in a browser, with figures from Elasticsearch. Only this machine can open the page."""
    from inferlog_ops.core.cluster import cluster_from
    from inferlog_ops.core.streams import checked_namespace
    from inferlog_ops.engine.control import running_url
    from inferlog_ops.preview.serving import serve

    engine_home = Home(home or default_home()).engine
    cluster = cluster_from(url, checked_namespace(namespace), fallback_url=None if url else running_url(engine_home))

    def tell(page: str) -> None:
        out.print(page, highlight=False)
        err.print(f"The dashboards, from {cluster.shown_url}. Ctrl-C ends it.", highlight=False)
        open_in_browser(page, wanted=open_)

    serve(cluster, port=port, ready_file=ready_file, on_ready=tell)
