"""``inferlog query``: runs a saved query from dashboards/queries and prints its rows."""

import sys
from collections.abc import Sequence
from csv import DictWriter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.table import Table
from rich.text import Text

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url, open_cluster
from inferlog_ops.core.console import PlainConsole, err, escape_control, out, print_json
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.exits import ROWS_MISSING

if TYPE_CHECKING:
    from inferlog_ops.query.notes import Note
    from inferlog_ops.query.run import QueryAnswer

_WIDE = PlainConsole(width=10_000)


def query(
    name: Annotated[str | None, typer.Argument(help="Name of the query. Default: list all queries.")] = None,
    *,
    last: Annotated[str | None, typer.Option(help="Length of the range: 90s, 15m, 12h, 7d. Default: 15m.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Start of the range, ISO 8601, UTC if no offset.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="End of the range, exclusive. Default: now.")] = None,
    model_version: Annotated[
        str | None, typer.Option(help='Only this model version; "(none)" selects requests that reached no model.')
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="Number of model versions with rows of their own, by request count; "
            'all others are "(other)". Default: 20 in a query over time, otherwise 50.',
        ),
    ] = None,
    every_version: Annotated[
        bool, typer.Option("--every-version", help='Give each model version its own rows, without "(other)".')
    ] = False,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values with a header.")] = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    Run a saved query: p99 latency, error rate, requests per second, tokens, lost events.

    Notes go to stderr, with --json as one JSON object per line: the minimum number of missing rows, and events that
    are later than a range that ends now. Exit code 3: rows are missing.
    """
    if json and csv:
        raise OperatorError("--json and --csv are mutually exclusive; give one of them", exit_code=2)
    if top is not None and every_version:
        raise OperatorError("--top and --every-version are mutually exclusive; give one of them", exit_code=2)
    if name is None:
        _print_list(json=json)
        return
    from inferlog_ops.query.library import find, list_streams
    from inferlog_ops.query.notes import is_incomplete
    from inferlog_ops.query.run import find_future_events, run_query
    from inferlog_ops.query.timerange import build_time_range, format_utc

    question = find(name)
    start, end = build_time_range(last=last, from_=from_, to=to, now=datetime.now(UTC))
    cluster = open_cluster(url, namespace, home)
    top_versions = None if every_version else top or question.top_versions
    answer = run_query(cluster, question, start, end, model_version, top_versions=top_versions)
    streams = list_streams(question, namespace)
    future = find_future_events(cluster, streams, end, model_version) if to is None else None
    if json:
        print_json(answer.rows)
    elif csv:
        _print_csv(answer)
    elif answer.rows:
        _print_answer(answer)
    else:
        err.print(f"{name}: no rows from {format_utc(start)} to {format_utc(end)}", highlight=False)
    _print_notes([*answer.notes, *([future] if future else [])], json=json)
    if is_incomplete(answer.notes):
        raise typer.Exit(ROWS_MISSING)


def _print_notes(notes: Sequence["Note"], *, json: bool) -> None:
    """Print *notes* to stderr, so that stdout holds only the rows."""
    for note in notes:
        if json:
            err.print(orjson.dumps(note.as_json()).decode(), highlight=False, markup=False)
        else:
            err.print(Text(note.text, style="yellow"))


def _print_list(*, json: bool) -> None:
    from inferlog_ops.query.library import load_all

    queries = load_all().values()
    if json:
        print_json([{"name": each.name, "question": each.question} for each in queries])
        return
    table = Table("name", "question", box=None, pad_edge=False)
    for each in queries:
        table.add_row(each.name, each.question)
    _print_table(table)


def _print_csv(answer: "QueryAnswer") -> None:
    names = [column.name for column in answer.columns]
    writer = DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    # Programs get the raw text; a terminal gets it with control characters escaped.
    shown = escape_control if sys.stdout.isatty() else str
    writer.writerows(
        {name: shown(value) if isinstance(value, str) else value for name, value in row.items()} for row in answer.rows
    )


def _print_answer(answer: "QueryAnswer") -> None:
    """Print a table, or one record per row if the table is wider than the terminal."""
    from inferlog_ops.query.table import as_records, as_table

    table = as_table(answer)
    width = _WIDE.measure(table).maximum
    if out.is_terminal and width > out.width:
        for record in as_records(answer):
            out.print(record, soft_wrap=False)
            out.print()
    else:
        _print_table(table)


def _print_table(table: Table) -> None:
    """Print *table*, at its full width if stdout is not a terminal."""
    (out if out.is_terminal else _WIDE).print(table)
