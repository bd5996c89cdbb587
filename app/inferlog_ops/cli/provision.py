"""``inferlog provision``: creates and updates all objects in Elasticsearch and Kibana; safe to repeat."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url, open_cluster
from inferlog_ops.core.console import err, out, print_json

if TYPE_CHECKING:
    from inferlog_ops.core.cluster import Cluster
    from inferlog_ops.provision.desired import ProvisionedObject


def provision(
    *,
    url: Url = None,
    kibana: Annotated[
        str | None,
        typer.Option(
            envvar="KIBANA_URL",
            metavar="URL",
            help="Kibana 8.12 or newer for data views, dashboards, alert rules and saved queries. Credentials: "
            "KIBANA_API_KEY or user:password@ in the address; KIBANA_CA_FILE. With this option, Elasticsearch is "
            "provisioned only if --url or ELASTICSEARCH_URL is given.",
        ),
    ] = None,
    space: Annotated[str, typer.Option(metavar="ID", help="Kibana space for the objects.")] = "default",
    kibana_bodies: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Only write the requests for an empty Kibana into this folder, with a script that sends them.",
        ),
    ] = None,
    retention: Annotated[
        str | None,
        typer.Option(
            envvar="INFERLOG_RETENTION",
            metavar="TIME",
            help="How long the cluster keeps events, such as 90d. Default: unchanged, at first 30d.",
        ),
    ] = None,
    summaries_retention: Annotated[
        str | None,
        typer.Option(
            envvar="INFERLOG_SUMMARIES_RETENTION",
            metavar="TIME",
            help="How long the cluster keeps summaries, such as 800d. Default: unchanged, at first 400d.",
        ),
    ] = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """
    Create templates and data streams in Elasticsearch, dashboards and alert rules in Kibana.

    Safe to repeat: a second run changes nothing. Objects that inferlog did not create are never overwritten.
    """
    if kibana_bodies is not None:
        _write_bodies(kibana_bodies, space, namespace, json=json)
        return
    provisioned: list[ProvisionedObject] = []
    if url or os.environ.get("ELASTICSEARCH_URL") or not kibana:
        provisioned += _provision_elasticsearch(open_cluster(url, namespace, home), retention, summaries_retention)
    if kibana:
        provisioned += _provision_kibana(kibana, space, namespace)
    if json:
        print_json([_as_json(each) for each in provisioned])
    else:
        _print_table(provisioned)
    if any(each.reason for each in provisioned):
        raise typer.Exit(1)


def _provision_elasticsearch(
    cluster: "Cluster", retention: str | None, summaries_retention: str | None
) -> "list[ProvisionedObject]":
    from inferlog_ops.provision.elasticsearch import provision_cluster
    from inferlog_ops.provision.elasticsearch.retention import check_retention

    for option, value in (("--retention", retention), ("--summaries-retention", summaries_retention)):
        if value is not None:
            check_retention(value, where=option)
    return provision_cluster(cluster, retention=retention, summaries_retention=summaries_retention, on_progress=_log)


def _provision_kibana(url: str, space: str, namespace: str) -> "list[ProvisionedObject]":
    from inferlog_ops.provision.kibana.address import resolve_kibana
    from inferlog_ops.provision.kibana.provision import provision_kibana

    provisioned = provision_kibana(resolve_kibana(url, space), namespace, on_progress=_log)
    for reason, names in _group_refusals(provisioned).items():
        _log(f"refused: {', '.join(names)}: {reason}")
    return provisioned


def _group_refusals(provisioned: "Sequence[ProvisionedObject]") -> dict[str, list[str]]:
    """Group the names of refused objects by reason: one reason often applies to all."""
    by_reason: dict[str, list[str]] = {}
    for each in provisioned:
        if each.reason is not None:
            by_reason.setdefault(each.reason, []).append(each.name)
    return by_reason


def _write_bodies(folder: Path, space: str, namespace: str, *, json: bool) -> None:
    from inferlog_ops.provision.kibana.address import check_space
    from inferlog_ops.provision.kibana.bodies import SCRIPT, write_bodies
    from inferlog_ops.provision.kibana.plan import build_plan

    written = write_bodies(folder, build_plan(namespace), check_space(space))
    if json:
        print_json([{"request": each.request, "file": str(each.file)} for each in written])
        return
    table = Table("request", "file", box=None, pad_edge=False)
    for each in written:
        table.add_row(each.request, each.file.name)
    out.print(table)
    _log(f"send them to KIBANA_URL with: {folder / SCRIPT}")


def _as_json(each: "ProvisionedObject") -> dict[str, str]:
    reason = {} if each.reason is None else {"reason": each.reason}
    return {"name": each.name, "kind": each.kind, "outcome": each.outcome, **reason}


def _print_table(provisioned: "Sequence[ProvisionedObject]") -> None:
    table = Table("kind", "name", "outcome", box=None, pad_edge=False)
    for each in provisioned:
        table.add_row(each.kind, each.name, each.outcome)
    out.print(table)


def _log(text: str) -> None:
    err.print(text, highlight=False, markup=False)
