"""``inferlog query``: asks a question of dashboards/queries and prints the answer."""

import sys
from collections.abc import Sequence
from csv import DictWriter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.table import Table
from rich.text import Text

from inferlog_ops.cli.options import HomeDir, Json, Namespace, Url
from inferlog_ops.core.console import PlainConsole, err, out, print_json, printable
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home, default_home

if TYPE_CHECKING:
    from inferlog_ops.query.notes import Note
    from inferlog_ops.query.run import Answer

_WIDE = PlainConsole(width=10_000)
_ROWS_MISSING = 3
"""Exit code, as with `inferlog alerts check`: answered, but not about everything."""

_MOMENT = "%Y-%m-%d %H:%M:%S UTC"


def query(
    name: Annotated[str | None, typer.Argument(help="Which question. Without it, all are listed.")] = None,
    *,
    last: Annotated[str | None, typer.Option(help="How far back: 90s, 15m, 12h, 7d. Default: 15m.")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="First moment, ISO 8601; UTC if it names no offset.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="First moment after the range. Default: now.")] = None,
    model_version: Annotated[
        str | None, typer.Option(help='Only this version; "(none)" for requests that reached no model.')
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1000,
            help="How many model versions, those with the most requests, have rows of their own; "
            'all others together are "(other)". Default: 20 in a query over time, 50 in any other.',
        ),
    ] = None,
    every_version: Annotated[
        bool, typer.Option("--every-version", help='Give each model version rows of its own; no row is "(other)".')
    ] = False,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values with a head.")] = False,
    url: Url = None,
    namespace: Namespace = "default",
    home: HomeDir = None,
) -> None:
    """
    Ask one of the saved questions: p99 latency, error rate, requests per second, tokens, lost events.

    Notes go to stderr, with --json as one JSON object a line: rows that are missing, and at least how many; events
    whose time is after a range that ends now. Exit code 3: rows are missing.
    """
    if json and csv:
        raise OperatorError("--json and --csv both say how to print; give one of them", exit_code=2)
    if top is not None and every_version:
        raise OperatorError("--top and --every-version exclude each other; give one of them", exit_code=2)
    if name is None:
        _print_list(json=json)
        return
    from inferlog_ops.core.cluster import cluster_from
    from inferlog_ops.engine.control import running_url
    from inferlog_ops.query.library import find, streams_of
    from inferlog_ops.query.notes import is_incomplete
    from inferlog_ops.query.run import ask, future_events
    from inferlog_ops.query.timerange import time_range

    question = find(name)
    start, end = time_range(last=last, from_=from_, to=to, now=datetime.now(UTC))
    engine_home = Home(home or default_home()).engine
    cluster = cluster_from(url, namespace, fallback_url=None if url else running_url(engine_home))
    top_versions = None if every_version else top or question.top_versions
    answer = ask(cluster, question, start, end, model_version, top_versions=top_versions)
    streams = streams_of(question, namespace)
    future = future_events(cluster, streams, end, model_version) if to is None else None
    if json:
        print_json(answer.rows)
    elif csv:
        _print_csv(answer)
    elif answer.rows:
        _print_answer(answer)
    else:
        err.print(f"{name}: no rows from {start:{_MOMENT}} to {end:{_MOMENT}}", highlight=False)
    _print_notes([*answer.notes, *([future] if future else [])], json=json)
    if is_incomplete(answer.notes):
        raise typer.Exit(_ROWS_MISSING)


def _print_notes(notes: Sequence["Note"], *, json: bool) -> None:
    """Print *notes* to stderr: the answer on stdout keeps its shape."""
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


def _print_csv(answer: "Answer") -> None:
    names = [column.name for column in answer.columns]
    writer = DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    # A program gets what is there; a terminal, what it can show.
    shown = printable if sys.stdout.isatty() else str
    writer.writerows(
        {name: shown(value) if isinstance(value, str) else value for name, value in row.items()} for row in answer.rows
    )


def _print_answer(answer: "Answer") -> None:
    """Print a table, or where the terminal is too narrow for it one row below the other."""
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
    """Print *table*; into a pipe at its full width, not folded to the 80 columns a pipe is taken to have."""
    (out if out.is_terminal else _WIDE).print(table)
