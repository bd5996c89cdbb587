"""An answer as a table for a person: units in the heads, numbers cut to what can be read."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from inferlog_ops.core.console import printable
from inferlog_ops.query.run import Answer, Column

_DATES = {"date", "date_nanos"}
_NUMBERS = {"long", "integer", "double", "unsigned_long"}
_PER_SECOND, _SECONDS, _RATE = "_per_second", "_seconds", "error_rate"


def as_table(answer: Answer) -> Table:
    """Return *answer* as a table without lines."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in answer.columns:
        table.add_column(title(column), justify="right" if column.type in _NUMBERS else "left", no_wrap=True)
    for row in answer.rows:
        table.add_row(*(Text(shown(column, row[column.name])) for column in answer.columns))
    return table


def as_records(answer: Answer) -> Iterator[Table]:
    """Return each row as a table of its own, one line a column, for what is wider than the terminal."""
    for row in answer.rows:
        record = Table(box=None, pad_edge=False, show_header=False)
        record.add_column(style="bold", no_wrap=True)
        record.add_column(overflow="fold")
        for column in answer.columns:
            record.add_row(title(column), Text(shown(column, row[column.name])))
        yield record


def title(column: Column) -> str:
    """Return the head of *column*, its unit in brackets."""
    name = column.name
    if column.type in _DATES:
        return f"{name} (UTC)"
    if name == _RATE:
        return f"{name} (%)"
    if name.endswith(_PER_SECOND):
        return f"{name.removesuffix(_PER_SECOND)} (1/s)"
    if name.endswith(_SECONDS):
        return f"{name.removesuffix(_SECONDS)} (s)"
    return name


def shown(column: Column, value: Any) -> str:
    """Return *value* in the unit of the column's head; a dash where there is none."""
    if value is None:
        return "-"
    if column.type in _DATES:
        return str(value).replace("T", " ").removesuffix("Z").removesuffix(".000")
    if isinstance(value, float):
        return _shown_float(column, value)
    if column.name == "http.response.status_code":
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return printable(str(value))


def _shown_float(column: Column, value: float) -> str:
    if column.name == _RATE:
        return f"{100 * value:.2f}"
    if column.name.endswith(_SECONDS) and not column.name.endswith(_PER_SECOND):
        return f"{value:.4f}"
    return f"{value:,.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3g}"
