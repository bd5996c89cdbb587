"""Options that several commands share, so that they are named and explained alike."""

from pathlib import Path
from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="ELASTICSEARCH_URL",
        help="Elasticsearch to talk to. Credentials: ELASTICSEARCH_API_KEY or "
        "ELASTICSEARCH_API_KEY_FILE, ELASTICSEARCH_CA_FILE. "
        "Default: the embedded engine of --home, if it runs.",
    ),
]
Namespace = Annotated[
    str,
    typer.Option(envvar="INFERLOG_NAMESPACE", help="Last part of the data streams' names."),
]
HomeDir = Annotated[
    Path | None,
    typer.Option("--home", envvar="INFERLOG_HOME", help="Directory of all data. Default: ~/.local/share/inferlog."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
