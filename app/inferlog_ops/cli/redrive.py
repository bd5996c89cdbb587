"""The command ``inferlog redrive``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url, open_cluster
from inferlog_ops.core.console import escape_control, format_count, out, print_json
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home, find_default_home

if TYPE_CHECKING:
    from inferlog_ops.core.cluster import Cluster
    from inferlog_ops.ship.redrive.resend import LetterCount, LetterSource, RedriveTally

FromFailureStore = Annotated[
    bool,
    typer.Option(
        "--failure-store",
        help="Also send the documents in the failure stores of the streams (Elasticsearch 9). "
        "Without --from, send only those.",
    ),
]
OnlyList = Annotated[bool, typer.Option("--list", help="Only count the dead letters by reason, and exit.")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Only count the letters to send and the existing documents. Changes nothing."),
]


def redrive(
    places: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="A shipper's state directory, Fluentd's /fluentd/state/dead_letters, or one file of dead letters. "
            "May be given several times. Default: the shipper folder of --home.",
        ),
    ] = None,
    failure_store: FromFailureStore = False,
    only_list: OnlyList = False,
    dry_run: DryRun = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
    json: Json = False,
) -> None:
    """
    Send dead letters again after the cause of their refusal is fixed.

    A dead letter is a line that is not valid JSON, or that Elasticsearch refused permanently. List them by reason with:

        inferlog redrive --list

    Then fix the cause: the templates (and provision again), or the lines. Fluentd and inferlog ship may keep running.
    Every document keeps its id, so an existing document is not stored twice.

    Stored letters move to the folder redriven next to the file. Letters that are refused again or are not valid JSON
    stay in a file named ….redrive-…, to which no other process writes: fix the lines there and run this again.
    In dead_letters.jsonl the line is the text "line". A line of Fluentd is the document itself, or, if it is not valid
    JSON, an object with the text "unmatched_line". Fix the text in its quotes or replace it by the document.

    Documents in a failure store stay there until its retention deletes them. They are not sent twice.

    Exits with 1 if letters remain. Requires the privileges create_doc and read on the streams, and read_failure_store
    for --failure-store.
    """
    from inferlog_ops.ship.redrive.letter_files import find_letter_files

    own_home = Home(home or find_default_home())
    if not places and not failure_store:
        places = [own_home.shipper_state] if own_home.shipper_state.exists() else []
    sources: list[LetterSource] = [*find_letter_files(places or [])]
    if only_list and not failure_store:
        show_list(sources, json=json)
        return
    cluster = open_cluster(url, namespace, home)
    if failure_store:
        sources += open_failure_stores(cluster)
    if only_list:
        show_list(sources, json=json)
    else:
        resend(sources, cluster, dry_run=dry_run, json=json)


def open_failure_stores(cluster: "Cluster") -> "list[LetterSource]":
    """Return the failure store of each stream of *cluster*."""
    from inferlog_ops.core.streams import STREAMS
    from inferlog_ops.ship.redrive.failure_store import FailureStore

    return [FailureStore(cluster, stream) for stream in STREAMS]


def show_list(sources: "list[LetterSource]", *, json: bool) -> None:
    """Print the number of letters in *sources* by stream and reason."""
    from inferlog_ops.ship.redrive.resend import count_letters

    rows = list(count_letters(sources))
    if json:
        print_json([_describe_count(row) for row in rows])
    elif not rows:
        out.print("no dead letters")
    else:
        _print_list(rows)


def _describe_count(row: "LetterCount") -> dict[str, Any]:
    return {
        "source": row.source,
        "stream": row.stream,
        "reason": row.reason,
        "letters": row.letters,
        "can_be_sent": row.can_be_sent,
    }


def _print_list(rows: "list[LetterCount]") -> None:
    table = Table("stream", "reason", box=None, pad_edge=False)
    table.add_column("letters", justify="right")
    table.add_column("can be sent")
    source = ""
    for row in rows:
        if row.source != source:
            source = row.source
            table.add_row(Text(source, style="bold"))
        table.add_row(
            Text(escape_control(row.stream)),
            Text(escape_control(row.reason)),
            str(row.letters),
            "yes" if row.can_be_sent else "fix it first",
        )
    out.print(table)


def resend(sources: "list[LetterSource]", cluster: "Cluster", *, dry_run: bool, json: bool) -> None:
    """
    Send the letters in *sources* to *cluster* and print the results; with *dry_run* only preview them.

    Raises:
        OperatorError: If letters remain, or sending failed.
    """
    from inferlog_ops.core.progress import delay_progress, show_progress
    from inferlog_ops.ship.bulk_client import BulkClient
    from inferlog_ops.ship.redrive.resend import Resender, preview_letters, redrive_letters
    from inferlog_ops.ship.settings import ShipSettings

    client = BulkClient(cluster, ShipSettings(senders=1))
    try:
        with show_progress() as show:
            resender = Resender(client, dry_run=dry_run, report=delay_progress(show))
            send = preview_letters if dry_run else redrive_letters
            tallies = [tally for tally in send(sources, resender) if tally.outcomes.total()]
    finally:
        client.close()
    if json:
        print_json([_describe_tally(tally) for tally in tallies])
    elif not tallies:
        out.print("no dead letters")
    else:
        _print_tallies(tallies)
    if resender.trouble is not None:
        raise OperatorError(
            f"{cluster.shown_url}: {resender.trouble}: the remaining letters were not sent; fix that and run this again"
        )
    left = sum(tally.left for tally in tallies)
    if left and not dry_run:
        remain = "remains" if left == 1 else "remain"
        raise OperatorError(
            f"{format_count(left, 'dead letter')} {remain}: fix the reason of their refusal, then run this again"
        )


def _describe_tally(tally: "RedriveTally") -> dict[str, Any]:
    from inferlog_ops.ship.redrive.resend import RedriveOutcome

    counts = {outcome.replace(" ", "_"): tally.outcomes[outcome] for outcome in RedriveOutcome}
    reasons = [
        {"outcome": outcome.replace(" ", "_"), "reason": reason, "letters": count}
        for (outcome, reason), count in tally.reasons.most_common()
    ]
    return {"source": tally.source, **counts, "reasons": reasons}


def _print_tallies(tallies: "list[RedriveTally]") -> None:
    table = Table("outcome", box=None, pad_edge=False)
    table.add_column("letters", justify="right")
    for tally in tallies:
        table.add_row(Text(tally.source, style="bold"))
        for outcome, count in tally.outcomes.most_common():
            table.add_row(f"  {outcome}", str(count))
            for (of_outcome, reason), of_reason in tally.reasons.most_common():
                if of_outcome is outcome:
                    table.add_row(Text(f"    {reason}", style="dim"), str(of_reason))
    out.print(table)
