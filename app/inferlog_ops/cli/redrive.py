"""``inferlog redrive``: send dead letters again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url
from inferlog_ops.core.console import out, print_json, printable
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home, default_home

if TYPE_CHECKING:
    from inferlog_ops.core.cluster import Cluster
    from inferlog_ops.ship.redrive.run import Listed, Source, Tally

FromFailureStore = Annotated[
    bool,
    typer.Option(
        "--failure-store",
        help="Also, or without --from only, what lies in the failure stores of the streams (Elasticsearch 9).",
    ),
]
OnlyList = Annotated[bool, typer.Option("--list", help="Count what is there, by reason, and end.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be sent and what the store has already; change nothing.")
]


def redrive(
    places: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="Where dead letters lie: a shipper's state directory, Fluentd's /fluentd/state/dead_letters, or one "
            "file. May be given several times. Default: the home's shipper.",
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
    Send dead letters again, after what made the store refuse them is mended.

    A dead letter is a line that was no JSON, or that the store refused for good. First see which there are and why:

        inferlog redrive --list

    Then mend the reason: the templates (and provision again), or the lines. Fluentd and inferlog ship may go on.
    Every document keeps its id, so that one that is there already is not there twice.

    What the store then has is moved to the folder redriven beside the file. What it refuses again, and what is no
    JSON, stays in a file named ….redrive-…, to which nobody else writes: mend the lines there and run this again.
    In dead_letters.jsonl the line is the text "line". A line of Fluentd's is the document itself, or, where it was no
    JSON, an object with the text "unmatched_line": either may be mended in its quotes or replaced by the document.

    Documents in a failure store stay there until its retention deletes them; they are not sent twice.

    Ends with 1 if something is left. Needs the privileges create_doc and read on the streams, and for --failure-store
    read_failure_store.
    """
    from inferlog_ops.core.cluster import cluster_from
    from inferlog_ops.engine.control import running_url
    from inferlog_ops.ship.redrive.letter_files import find

    own_home = Home(home or default_home())
    if not places and not failure_store:
        places = [own_home.shipper_state] if own_home.shipper_state.exists() else []
    sources: list[Source] = [*find(places or [])]
    if only_list and not failure_store:
        show_list(sources, json=json)
        return
    cluster = cluster_from(url, namespace, fallback_url=None if url else running_url(own_home.engine))
    if failure_store:
        sources += failure_stores(cluster)
    if only_list:
        show_list(sources, json=json)
    else:
        resend(sources, cluster, dry_run=dry_run, json=json)


def failure_stores(cluster: "Cluster") -> "list[Source]":
    """Return the failure store of each stream of *cluster*."""
    from inferlog_ops.core.streams import STREAMS
    from inferlog_ops.ship.redrive.failure_store import FailureStore

    return [FailureStore(cluster, stream) for stream in STREAMS]


def show_list(sources: "list[Source]", *, json: bool) -> None:
    """Print what lies in *sources*, counted by stream and reason."""
    from inferlog_ops.ship.redrive.run import listed

    rows = list(listed(sources))
    if json:
        print_json([_listed_as_json(row) for row in rows])
    elif not rows:
        out.print("no dead letters")
    else:
        _print_list(rows)


def _listed_as_json(row: "Listed") -> dict[str, Any]:
    return {
        "source": row.source,
        "stream": row.stream,
        "reason": row.reason,
        "letters": row.letters,
        "can_be_sent": row.can_be_sent,
    }


def _print_list(rows: "list[Listed]") -> None:
    table = Table("stream", "reason", box=None, pad_edge=False)
    table.add_column("letters", justify="right")
    table.add_column("can be sent")
    source = ""
    for row in rows:
        if row.source != source:
            source = row.source
            table.add_row(Text(source, style="bold"))
        table.add_row(
            Text(printable(row.stream)),
            Text(printable(row.reason)),
            str(row.letters),
            "yes" if row.can_be_sent else "mend it first",
        )
    out.print(table)


def resend(sources: "list[Source]", cluster: "Cluster", *, dry_run: bool, json: bool) -> None:
    """
    Send what lies in *sources* to *cluster* and print what became of it; with *dry_run*, what would become.

    Raises:
        OperatorError: If something is left, or could not be sent.
    """
    from inferlog_ops.ship.redrive.resending import Resender
    from inferlog_ops.ship.redrive.run import looked_through, redriven
    from inferlog_ops.ship.settings import Settings
    from inferlog_ops.ship.store import Store

    store = Store(cluster, Settings(senders=1))
    try:
        resender = Resender(store, dry_run=dry_run)
        tallies = [
            tally for tally in (looked_through if dry_run else redriven)(sources, resender) if tally.outcomes.total()
        ]
    finally:
        store.close()
    if json:
        print_json([_tally_as_json(tally) for tally in tallies])
    elif not tallies:
        out.print("no dead letters")
    else:
        _print_tallies(tallies)
    if resender.trouble is not None:
        raise OperatorError(
            f"{cluster.shown_url}: {resender.trouble}: the rest was not sent; mend that and run this again"
        )
    left = sum(tally.left for tally in tallies)
    if left and not dry_run:
        raise OperatorError(f"{left} dead letters are left: mend what they are refused for, then run this again")


def _tally_as_json(tally: "Tally") -> dict[str, Any]:
    from inferlog_ops.ship.redrive.resending import Outcome

    counts = {outcome.replace(" ", "_"): tally.outcomes[outcome] for outcome in Outcome}
    reasons = [
        {"outcome": outcome.replace(" ", "_"), "reason": reason, "letters": count}
        for (outcome, reason), count in tally.reasons.most_common()
    ]
    return {"source": tally.source, **counts, "reasons": reasons}


def _print_tallies(tallies: "list[Tally]") -> None:
    table = Table("what became of them", box=None, pad_edge=False)
    table.add_column("letters", justify="right")
    for tally in tallies:
        table.add_row(Text(tally.source, style="bold"))
        for outcome, count in tally.outcomes.most_common():
            table.add_row(f"  {outcome}", str(count))
            for (of_outcome, reason), of_reason in tally.reasons.most_common():
                if of_outcome is outcome:
                    table.add_row(Text(f"    {reason}", style="dim"), str(of_reason))
    out.print(table)
