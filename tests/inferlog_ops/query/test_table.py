"""Tables: units in headers, rounded numbers, no control characters."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from inferlog_ops.query.run import Column, QueryAnswer
from inferlog_ops.query.table import as_records, as_table, format_column_title, format_value


def _build_column(name: str, type_: str = "double") -> Column:
    return Column(name=name, type=type_)


@pytest.mark.parametrize(
    ("column", "head", "value", "text"),
    [
        (_build_column("p99_seconds"), "p99 (s)", 0.123456789, "0.1235"),
        (_build_column("p99_seconds"), "p99 (s)", 12.0, "12.0000"),
        (_build_column("error_rate"), "error_rate (%)", 0.0123, "1.23"),
        (_build_column("requests_per_second"), "requests (1/s)", 1234.5678, "1,234.57"),
        (_build_column("requests_per_second"), "requests (1/s)", 0.001234, "0.00123"),
        (_build_column("requests_per_second"), "requests (1/s)", 0.0, "0.00"),
        (_build_column("requests", "long"), "requests", 1234567, "1,234,567"),
        (_build_column("http.response.status_code", "integer"), "http.response.status_code", 200, "200"),
        (_build_column("bucket", "date"), "bucket (UTC)", "2026-11-23T06:15:00.000Z", "2026-11-23 06:15:00"),
        (
            _build_column("@timestamp", "date_nanos"),
            "@timestamp (UTC)",
            "2026-11-23T06:15:00.1234Z",
            "2026-11-23 06:15:00.1234",
        ),
        (_build_column("model_version", "keyword"), "model_version", "v1", "v1"),
        (_build_column("p99_seconds"), "p99 (s)", None, "-"),
    ],
)
def test_value_is_formatted_in_the_unit_of_its_header(column: Column, head: str, value: Any, text: str) -> None:
    assert format_column_title(column) == head
    assert format_value(column, value) == text


@given(st.text())
def test_text_of_a_client_is_one_line_without_control_characters(text: str) -> None:
    spelled = format_value(_build_column("error.message", "text"), text)
    assert spelled.isprintable()
    assert spelled == text or not text.isprintable()


def _print_to_text(renderable: object) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_markup_in_a_value_is_text() -> None:
    answer = QueryAnswer(columns=[_build_column("error.type", "keyword")], rows=[{"error.type": "[red]x[/red]"}])
    assert "[red]x[/red]" in _print_to_text(as_table(answer))


def test_record_has_a_line_for_each_column() -> None:
    columns = [_build_column("model_version", "keyword"), _build_column("p99_seconds")]
    answer = QueryAnswer(columns=columns, rows=[{"model_version": "v1", "p99_seconds": 1.5}])
    (record,) = as_records(answer)
    lines = [line.split() for line in _print_to_text(record).splitlines()]
    assert lines == [["model_version", "v1"], ["p99", "(s)", "1.5000"]]
