"""``inferlog audit``: verifies the hash chain of the events."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url, open_cluster
from inferlog_ops.core.console import err, escape_control, format_count, out, print_json
from inferlog_ops.core.errors import OperatorError

if TYPE_CHECKING:
    from inferlog_ops.core.progress import ReportProgress
    from inferlog_ops.query.audit.chain import AuditReport, Event, Finding

app = typer.Typer(help="Verify the hash chain of the events.", no_args_is_help=True)

_SHOWN = 20


@app.callback()
def audit() -> None:
    """Make ``verify`` a subcommand: Typer would otherwise promote it to the command itself."""


@app.command()
def verify(
    last: Annotated[
        str | None, typer.Option(help="Length of the range: 90s, 15m, 12h, 7d. Default: all events.")
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Start of the range, ISO 8601.")] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="End of the range, exclusive. Default: none; events of a fast clock are included."),
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="Verify the event files below this directory instead of the index.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(envvar="INFERLOG_AUDIT_KEY_FILE", help="File with the key of the hash chain, if it is keyed."),
    ] = None,
    json: Json = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    List every event that was changed, removed, cut off or inserted.

    Exit code 1 if there is any, or if a file is not readable; 2 without any event file.
    """
    from inferlog.audit import Hasher
    from inferlog.settings import Settings, SettingsError
    from inferlog_ops.core.cluster import translate_errors
    from inferlog_ops.core.progress import delay_progress, show_progress
    from inferlog_ops.query.audit import chain, sources
    from inferlog_ops.query.audit.event_files import EventFiles
    from inferlog_ops.query.run import LAST_TIME, check_range
    from inferlog_ops.query.timerange import build_time_range

    everything = last is None and from_ is None
    start, now = build_time_range(
        last=last, from_="1970-01-01T00:00:00Z" if everything else from_, to=to, now=datetime.now(UTC)
    )
    # A clock that is ahead gives events a future time: without them, a chain would be cut or have holes.
    end = LAST_TIME if to is None else now
    check_range(start, end)
    try:
        hasher = Hasher(Settings(audit_key_file=key_file).read_key("audit_key_file"))
    except SettingsError as error:
        raise OperatorError(str(error), exit_code=2) from error
    with show_progress() as show:
        progress = delay_progress(show)
        if files is not None:
            source = EventFiles(files, progress)
            # Count first: events written in between are then surplus, not missing.
            counted = source.read_counts(start, end)
            report = chain.verify(_report_each(source.read_events(start, end), progress), hasher, counted)
            report.unreadable_lines = source.unreadable_lines
        else:
            cluster = open_cluster(url, namespace, home)
            with cluster.build_client() as client, translate_errors(cluster, "reading the events"):
                counted = sources.read_counts_from_index(client, cluster, start, end, now)
                events = sources.read_events_from_index(client, cluster, start, end)
                report = chain.verify(_report_each(events, progress), hasher, counted)
    if json:
        print_json(asdict(report))
    else:
        _print(report)
    if report.findings:
        raise typer.Exit(1)


def _report_each(events: "Iterable[Event]", report: "ReportProgress") -> "Iterator[Event]":
    """Yield the *events*, with a progress line for each thousand."""
    for number, event in enumerate(events, 1):
        if not number % 1_000:
            report(f"{number:,} events read")
        yield event


def _print(report: "AuditReport") -> None:
    for line in _list_counts(report):
        out.print(line, highlight=False)
    for finding in report.findings[:_SHOWN]:
        out.print(Text(escape_control(_format_finding(finding)), style="red"))
    if len(report.findings) > _SHOWN:
        err.print(f"… and {len(report.findings) - _SHOWN} more; --json lists all of them", highlight=False)
    if not report.findings:
        out.print("No event was changed, removed, cut off or inserted.", style="green")


def _list_counts(report: "AuditReport") -> Iterator[str]:
    """Yield a line for the events that were read, and for each reason why others are not among them."""
    yield f"{format_count(report.events, 'event')} of {format_count(report.instances, 'instance')} verified"
    if report.cut_heads:
        yield (
            f"{format_count(report.cut_heads, 'chain')} without the first event: "
            "because of the range, retention or deletion"
        )
    if report.not_there:
        yield (
            f"{format_count(report.not_there, 'instance')} with heartbeats that count events, but without events: "
            "because of the range, retention or deletion"
        )
    if report.ahead:
        yield (
            f"{format_count(report.ahead, 'instance')} with heartbeats of a future time: whether events are cut off "
            "at the end is not known before that time; compare the clocks of the hosts"
        )
    if report.unreadable_lines:
        yield (
            f"{format_count(report.unreadable_lines, 'line')} not valid JSON, cut short or damaged: "
            "if it was an event, it is missing in its chain"
        )
    if report.dropped:
        yield (
            f"{format_count(report.dropped, 'event')} dropped by the service, which did not write them; "
            "the chain is intact"
        )


def _format_finding(finding: "Finding") -> str:
    several = f"sequences {finding.sequence} to {finding.until}"
    which = several if finding.until > finding.sequence else f"sequence {finding.sequence}"
    named = f", event.id {finding.event_id}" if finding.event_id else ""
    return f"{finding.fault}: instance {finding.instance_id}, {which}{named}"
