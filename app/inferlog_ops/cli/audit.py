"""``inferlog audit``: the trail of who was answered by what, and whether it is whole."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url
from inferlog_ops.core.console import err, out, print_json, printable
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home, default_home

if TYPE_CHECKING:
    from inferlog_ops.query.audit.chain import Finding, Report

app = typer.Typer(help="The hash chain of the events: verify.", no_args_is_help=True)

_SHOWN = 20
# A heartbeat may come to the index before the events that it counts.
_ON_THE_WAY_SECONDS = 60


@app.callback()
def audit() -> None:
    """Keep ``verify`` a command of its own."""


@app.command()
def verify(
    last: Annotated[str | None, typer.Option(help="How far back: 90s, 15m, 12h, 7d. Default: everything.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="First moment, ISO 8601.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="First moment after the range. Default: now.")] = None,
    files: Annotated[
        Path | None, typer.Option(help="Verify the event files beneath this directory instead of the index.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(envvar="INFERLOG_AUDIT_KEY_FILE", help="Key of the chain, if it has one.")
    ] = None,
    json: Json = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """Name every event that was changed, removed, cut off or put in. Exit code 1 if there is one."""
    from inferlog.audit import Hasher
    from inferlog.settings import Settings, SettingsError
    from inferlog_ops.core.cluster import cluster_from, translate_errors
    from inferlog_ops.engine.control import running_url
    from inferlog_ops.query.audit import chain, sources
    from inferlog_ops.query.timerange import time_range

    everything = last is None and from_ is None
    start, end = time_range(
        last=last, from_="1970-01-01T00:00:00Z" if everything else from_, to=to, now=datetime.now(UTC)
    )
    try:
        hasher = Hasher(Settings(audit_key_file=key_file).read_key("audit_key_file"))
    except SettingsError as error:
        raise OperatorError(str(error), exit_code=2) from error
    if files is not None:
        # Counted first: what is written meanwhile is then more than was counted, not less.
        counted = sources.counted_in_files(files, start, end)
        report = chain.verify(sources.from_files(files, start, end), hasher, counted)
    else:
        engine_home = Home(home or default_home()).engine
        cluster = cluster_from(url, namespace, fallback_url=None if url else running_url(engine_home))
        with cluster.client() as client, translate_errors(cluster, "reading the events"):
            settled = end - timedelta(seconds=_ON_THE_WAY_SECONDS)
            counted = sources.counted_in_index(client, cluster.namespace, start, settled)
            report = chain.verify(sources.from_index(client, cluster.namespace, start, end), hasher, counted)
    if json:
        print_json(asdict(report))
    else:
        _print(report)
    if report.findings:
        raise typer.Exit(1)


def _print(report: "Report") -> None:
    out.print(f"{report.events:,} events of {report.instances} instances verified", highlight=False)
    if report.cut_heads:
        out.print(
            f"{report.cut_heads} chains begin after their first event: by the range, by retention, or by a hand",
            highlight=False,
        )
    if report.not_there:
        out.print(
            f"{report.not_there} instances have heartbeats that count events, and none of these is here: by the range, "
            "by retention, or by a hand",
            highlight=False,
        )
    if report.dropped:
        out.print(
            f"{report.dropped} events were dropped by a full or broken disk, with the chain whole", highlight=False
        )
    for finding in report.findings[:_SHOWN]:
        out.print(Text(printable(_sentence(finding)), style="red"))
    if len(report.findings) > _SHOWN:
        err.print(f"… and {len(report.findings) - _SHOWN} more; --json names all of them", highlight=False)
    if not report.findings:
        out.print("No event was changed, removed, cut off or put in.", style="green")


def _sentence(finding: "Finding") -> str:
    several = f"sequences {finding.sequence} to {finding.until}"
    which = several if finding.until > finding.sequence else f"sequence {finding.sequence}"
    named = f", event.id {finding.event_id}" if finding.event_id else ""
    return f"{finding.fault}: instance {finding.instance_id}, {which}{named}"
