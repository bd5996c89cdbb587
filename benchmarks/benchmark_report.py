"""Report of one benchmark: tables, figures as JSON, and the project's goals."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.benchmark_process import GOAL_MISSED
from benchmarks.command_line import log_progress

_WIDTH = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """
    One table.

    Attributes:
        title: Heading of the table.
        columns: Column headings; the first column is text, the others are figures.
        rows: Formatted cells.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """
    Goal of the project.

    Attributes:
        what: Name of the figure.
        wanted: Target value.
        found: Measured value.
        met: Whether the target is reached.
    """

    what: str
    wanted: str
    found: str
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkReport:
    """
    Report of one benchmark.

    Attributes:
        figures: All measured values, for ``--json``.
        tables: Tables for people.
        goals: Empty without goals, or if the sizes are too small to judge.
        remarks: Sentences below the tables.
    """

    figures: object
    tables: Sequence[Table]
    goals: Sequence[Goal] = ()
    remarks: Sequence[str] = ()


def show_report(report: BenchmarkReport, options: argparse.Namespace) -> None:
    """Print *report* to stdout in the format of *options*."""
    if options.json:
        sys.stdout.write(orjson.dumps(report, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE).decode())
        return
    tables = (*report.tables, *_build_goal_tables(report.goals))
    if options.markdown:
        sys.stdout.write("\n\n".join([*map(_render_markdown, tables), *report.remarks]) + "\n")
        return
    console = Console(width=_WIDTH, markup=False, highlight=False, emoji=False)
    for table in tables:
        console.print(_build_rich_table(table))
    for remark in report.remarks:
        console.print(remark)


def _build_goal_tables(goals: Sequence[Goal]) -> list[Table]:
    if not goals:
        return []
    rows = [(goal.what, goal.wanted, goal.found, "yes" if goal.met else "no") for goal in goals]
    return [Table(title="Goals", columns=("", "wanted", "found", "met"), rows=rows)]


def _render_markdown(table: Table) -> str:
    rows = [table.columns, ["---", *["---:"] * (len(table.columns) - 1)], *table.rows]
    return "\n".join([f"### {table.title}", "", *(f"| {' | '.join(row)} |" for row in rows)])


def _build_rich_table(table: Table) -> RichTable:
    drawn = RichTable(title=table.title, title_justify="left")
    for number, heading in enumerate(table.columns):
        drawn.add_column(heading, justify="right" if number else "left")
    for row in table.rows:
        drawn.add_row(*row)
    return drawn


def exit_if_missed(report: BenchmarkReport) -> None:
    """Exit with `GOAL_MISSED` if *report* has a missed goal; the last line on stderr names them."""
    missed = [f"{goal.what}: {goal.found}, wanted {goal.wanted}" for goal in report.goals if not goal.met]
    if missed:
        log_progress(f"not met: {'; '.join(missed)}")
        sys.exit(GOAL_MISSED)
