"""``inferlog provision``: what Elasticsearch and Kibana need to have, safe to repeat."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url
from inferlog_ops.core.console import err, out, print_json
from inferlog_ops.core.home import Home, default_home

if TYPE_CHECKING:
    from inferlog_ops.core.outcome import Provisioned


def provision(
    *,
    url: Url = None,
    kibana: Annotated[
        str | None,
        typer.Option(
            envvar="KIBANA_URL",
            metavar="URL",
            help="Kibana 9.5 or newer that gets data views, dashboards, alert rules and saved queries. Credentials: "
            "KIBANA_API_KEY or user:password@ in the address; KIBANA_CA_FILE. Elasticsearch is then provisioned only "
            "if --url or ELASTICSEARCH_URL names one.",
        ),
    ] = None,
    space: Annotated[str, typer.Option(metavar="ID", help="Kibana space that they go to.")] = "default",
    kibana_bodies: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Only write what would be sent to an empty Kibana, one file a request, and a script that sends them.",
        ),
    ] = None,
    retention: Annotated[
        str | None,
        typer.Option(
            envvar="INFERLOG_RETENTION",
            metavar="TIME",
            help="How long a cluster keeps events, such as 90d. Default: as it does, 30d at first.",
        ),
    ] = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """
    Put templates and data streams into Elasticsearch, dashboards and alert rules into Kibana.

    A second run changes nothing; what others made is left alone.
    """
    if kibana_bodies is not None:
        _write_bodies(kibana_bodies, space, namespace, json=json)
        return
    provisioned: list[Provisioned] = []
    if url or os.environ.get("ELASTICSEARCH_URL") or not kibana:
        provisioned += _provision_elasticsearch(url, namespace, retention, Home(home or default_home()))
    if kibana:
        provisioned += _provision_kibana(kibana, space, namespace)
    if json:
        print_json([_as_json(each) for each in provisioned])
    else:
        _print_table(provisioned)


def _provision_elasticsearch(url: str | None, namespace: str, retention: str | None, home: Home) -> "list[Provisioned]":
    from inferlog_ops.core.cluster import cluster_from
    from inferlog_ops.engine.control import running_url
    from inferlog_ops.provision.elasticsearch import provision_cluster
    from inferlog_ops.provision.elasticsearch.retention import checked_retention

    kept = None if retention is None else checked_retention(retention, where="--retention")
    cluster = cluster_from(url, namespace, fallback_url=None if url else running_url(home.engine))
    return provision_cluster(cluster, retention=kept, on_progress=_say)


def _provision_kibana(url: str, space: str, namespace: str) -> "list[Provisioned]":
    from inferlog_ops.provision.kibana.address import kibana_from
    from inferlog_ops.provision.kibana.provision import provision_kibana

    provisioned = provision_kibana(kibana_from(url, space), namespace, on_progress=_say)
    for reason, names in _refusals(provisioned).items():
        _say(f"refused: {', '.join(names)}: {reason}")
    return provisioned


def _refusals(provisioned: "Sequence[Provisioned]") -> dict[str, list[str]]:
    """Return the names of what was refused by reason: one reason often holds for all."""
    by_reason: dict[str, list[str]] = {}
    for each in provisioned:
        if each.reason is not None:
            by_reason.setdefault(each.reason, []).append(each.name)
    return by_reason


def _write_bodies(folder: Path, space: str, namespace: str, *, json: bool) -> None:
    from inferlog_ops.provision.kibana.address import checked_space
    from inferlog_ops.provision.kibana.bodies import SCRIPT, write_bodies
    from inferlog_ops.provision.kibana.plan import plan_for

    written = write_bodies(folder, plan_for(namespace), checked_space(space))
    if json:
        print_json([{"request": each.request, "file": str(each.file)} for each in written])
        return
    table = Table("request", "file", box=None, pad_edge=False)
    for each in written:
        table.add_row(each.request, each.file.name)
    out.print(table)
    _say(f"{folder / SCRIPT} sends them to the Kibana KIBANA_URL")


def _as_json(each: "Provisioned") -> dict[str, str]:
    reason = {} if each.reason is None else {"reason": each.reason}
    return {"name": each.name, "kind": each.kind, "outcome": each.outcome, **reason}


def _print_table(provisioned: "Sequence[Provisioned]") -> None:
    table = Table("kind", "name", "outcome", box=None, pad_edge=False)
    for each in provisioned:
        table.add_row(each.kind, each.name, each.outcome)
    out.print(table)


def _say(text: str) -> None:
    err.print(text, highlight=False, markup=False)
