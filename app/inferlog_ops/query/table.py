"""Tables of query answers for a terminal: units in the headers, numbers rounded."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from inferlog_ops.core.console import escape_control
from inferlog_ops.query.run import Column, QueryAnswer

_DATES = {"date", "date_nanos"}
_NUMBERS = {"long", "integer", "double", "unsigned_long"}
_PER_SECOND, _SECONDS, _RATE = "_per_second", "_seconds", "error_rate"


def as_table(answer: QueryAnswer) -> Table:
    """Return *answer* as a table without borders."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in answer.columns:
        table.add_column(
            format_column_title(column), justify="right" if column.type in _NUMBERS else "left", no_wrap=True
        )
    for row in answer.rows:
        table.add_row(*(Text(format_value(column, row[column.name])) for column in answer.columns))
    return table


def as_records(answer: QueryAnswer) -> Iterator[Table]:
    """Yield each row as a table with one line per column, for answers wider than the terminal."""
    for row in answer.rows:
        record = Table(box=None, pad_edge=False, show_header=False)
        record.add_column(style="bold", no_wrap=True)
        record.add_column(overflow="fold")
        for column in answer.columns:
            record.add_row(format_column_title(column), Text(format_value(column, row[column.name])))
        yield record


def format_column_title(column: Column) -> str:
    """Return the header of *column*, with its unit in brackets."""
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


def format_value(column: Column, value: Any) -> str:
    """Return *value* in the unit of the column's header; a dash for null."""
    if value is None:
        return "-"
    if column.type in _DATES:
        return str(value).replace("T", " ").removesuffix("Z").removesuffix(".000")
    if isinstance(value, float):
        return _format_float(column, value)
    if column.name == "http.response.status_code":
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return escape_control(str(value))


def _format_float(column: Column, value: float) -> str:
    if column.name == _RATE:
        return f"{100 * value:.2f}"
    if column.name.endswith(_SECONDS) and not column.name.endswith(_PER_SECOND):
        return f"{value:.4f}"
    return f"{value:,.2f}" if abs(value) >= 1 or value == 0 else f"{value:.3g}"
