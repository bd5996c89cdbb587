"""Options that several commands share, with the same name and help text."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inferlog_ops.core.home import Home, find_default_home

if TYPE_CHECKING:
    from inferlog_ops.core.cluster import Cluster

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="ELASTICSEARCH_URL",
        help="Address of Elasticsearch. Credentials: ELASTICSEARCH_API_KEY or "
        "ELASTICSEARCH_API_KEY_FILE, ELASTICSEARCH_CA_FILE. "
        "Default: the embedded engine of --home, if it is running.",
    ),
]
Namespace = Annotated[
    str,
    typer.Option(envvar="INFERLOG_NAMESPACE", help="Last part of the data stream names."),
]
HomeDir = Annotated[
    Path | None,
    typer.Option("--home", envvar="INFERLOG_HOME", help="Directory of all data. Default: ~/.local/share/inferlog."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def open_cluster(url: str | None, namespace: str, home: Path | None) -> "Cluster":
    """
    Return the cluster at *url*, or the embedded engine of *home* if no address is given.

    Raises:
        OperatorError: If neither is available, or the credentials in the environment are invalid.
    """
    from inferlog_ops.core.cluster import resolve_cluster
    from inferlog_ops.engine.control import find_running_url

    return resolve_cluster(
        url, namespace, fallback_url=None if url else find_running_url(Home(home or find_default_home()).engine)
    )
