"""What a benchmark answers: tables for people, figures for programs, and which of the project's goals it met."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from rich.console import Console
from rich.table import Table as RichTable

_WIDTH = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """
    One table.

    Attributes:
        title: What it is about.
        columns: The headings; the first column holds text, the others figures.
        rows: As they are to be read.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """
    Something that the project holds itself to.

    Attributes:
        what: What was measured.
        wanted: What it is to be.
        found: What it was.
        met: Whether that is good enough.
    """

    what: str
    wanted: str
    found: str
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    All that a benchmark found.

    Attributes:
        figures: Everything that was measured, for a program.
        tables: What a person wants to see of it.
        goals: Empty where nothing is promised, or where the sizes are too small to say.
        remarks: Sentences that belong below the tables.
    """

    figures: object
    tables: Sequence[Table]
    goals: Sequence[Goal] = ()
    remarks: Sequence[str] = ()


def show(report: Report, options: argparse.Namespace) -> None:
    """Print *report* to stdout in the form that *options* ask for."""
    if options.json:
        sys.stdout.write(orjson.dumps(report, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE).decode())
        return
    tables = (*report.tables, *_of_goals(report.goals))
    if options.markdown:
        sys.stdout.write("\n\n".join([*map(_in_markdown, tables), *report.remarks]) + "\n")
        return
    console = Console(width=_WIDTH, markup=False, highlight=False, emoji=False)
    for table in tables:
        console.print(_drawn(table))
    for remark in report.remarks:
        console.print(remark)


def _of_goals(goals: Sequence[Goal]) -> list[Table]:
    if not goals:
        return []
    rows = [(goal.what, goal.wanted, goal.found, "yes" if goal.met else "no") for goal in goals]
    return [Table(title="Goals", columns=("", "wanted", "found", "met"), rows=rows)]


def _in_markdown(table: Table) -> str:
    rows = [table.columns, ["---", *["---:"] * (len(table.columns) - 1)], *table.rows]
    return "\n".join([f"### {table.title}", "", *(f"| {' | '.join(row)} |" for row in rows)])


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(title=table.title, title_justify="left")
    for number, heading in enumerate(table.columns):
        drawn.add_column(heading, justify="right" if number else "left")
    for row in table.rows:
        drawn.add_row(*row)
    return drawn
