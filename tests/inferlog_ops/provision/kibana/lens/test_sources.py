"""Figures of form-based charts equal those of the queries that they replace."""

import re
from typing import Any

import pytest

from inferlog_ops.provision.kibana.lens.buckets import Terms, compile_bucket
from inferlog_ops.provision.kibana.lens.expressions import Aggregate, compile_columns, list_aggregates
from inferlog_ops.provision.kibana.lens.sources import DELIVERY, EVENTS, HEALTH, LISTS, SOURCES, Figure, Group
from inferlog_ops.query import library
from tests import ROOT
from tests.golden import END, START, Document, build_golden, compute_expected_rows
from tests.golden.reading import get
from tests.support.lens_execution import execute, matches
from tests.support.panel_queries import read_mapped_fields

QUERIES = library.load_all()
DOCUMENTS = build_golden().select_between(START, END)
DATASETS = {
    EVENTS: {"inference.events"},
    HEALTH: {"inference.health"},
    DELIVERY: {"inference.events", "inference.health"},
}
STREAMS = {EVENTS: {"events"}, HEALTH: {"health"}, DELIVERY: {"events", "health"}}
GROUPED_BY_TIME = "_over_time"
NUMBERS_ONLY = {"number"}
COMPARED = sorted(
    name for name, source in SOURCES.items() if source.view in DATASETS and not name.endswith(GROUPED_BY_TIME)
)


@pytest.mark.parametrize("query", COMPARED)
def test_lens_figures_equal_those_of_the_query(query: str) -> None:
    source = SOURCES[query]
    groups = {name: column for name, column in source.columns.items() if isinstance(column, Group)}
    rows = {tuple(_convert_key(row[name]) for name in groups if name in row): row for row in _compute_lens_rows(query)}
    answer = compute_expected_rows(query, DOCUMENTS, START, END)
    assert answer
    for row in answer:
        found = rows.pop(tuple(_convert_key(row[name]) for name in groups if name in row))
        compared = [name for name in row if name in found and name not in groups]
        assert compared, "no figure to compare"
        for name in compared:
            assert found[name] == pytest.approx(row[name], rel=1e-9, abs=1e-9), (query, name)
    assert not rows


@pytest.mark.parametrize("query", LISTS)
def test_list_has_the_documents_of_the_query(query: str) -> None:
    listed = LISTS[query]
    answer = compute_expected_rows(query, DOCUMENTS, START, END)
    found = [each for each in _select_documents(listed.view) if matches(each, listed.kql)]
    found.sort(key=lambda each: (get(each, listed.sort), each["@timestamp"]), reverse=True)
    assert len(found) > listed.most_documents
    columns = answer[0].keys() - {"@timestamp"}  # the query writes it without zeros at its end
    shown = [{name: get(each, name) for name in columns} for each in found[: listed.most_documents]]
    assert shown == [{name: _convert_key(row[name]) for name in columns} for row in answer]


@pytest.mark.parametrize("query", LISTS)
def test_columns_of_a_list_are_fields(query: str) -> None:
    (row, *_) = compute_expected_rows(query, DOCUMENTS, START, END)
    assert row.keys() <= {"@timestamp", *read_mapped_fields("events")}
    assert f"LIMIT {LISTS[query].most_documents}\n" in QUERIES[query].text


@pytest.mark.parametrize("query", ["instances", "shippers", "clock_skew"])
def test_last_message_of_lens_reports_a_stop_if_the_query_does(query: str) -> None:
    source, instance = SOURCES[query], "service.instance.id"
    state = source.columns["state"]
    assert isinstance(state, Figure)
    columns = compile_columns("state", state.expression, "state")
    columns |= {instance: compile_bucket(Terms(field=instance), instance)}
    rows = execute(columns, _select_documents(source.view), kql=source.kql)
    stopped = {row[instance] for row in rows if row["state"].endswith("_stopped")}
    answer = compute_expected_rows(query, DOCUMENTS, START, END)
    assert stopped == {row[instance] for row in answer if row["state"] == "stopped"} != set()


def test_every_source_is_a_query() -> None:
    assert SOURCES.keys() | LISTS.keys() <= QUERIES.keys()
    assert not SOURCES.keys() & LISTS.keys()


@pytest.mark.parametrize("query", [name for name, source in SOURCES.items() if source.view in STREAMS])
def test_fields_of_a_query_are_mapped(query: str) -> None:
    source = SOURCES[query]
    mapped = {field for stream in STREAMS[source.view] for field in read_mapped_fields(stream)}
    figures = [column.expression for column in source.columns.values() if isinstance(column, Figure)]
    used = {each.field for expression in figures for each in list_aggregates(expression) if each.field}
    used |= {
        column.bucket.field
        for column in source.columns.values()
        if isinstance(column, Group) and isinstance(column.bucket, Terms)
    }
    assert used <= mapped


def test_docs_give_the_reason_of_queries_without_a_source_only() -> None:
    (table,) = re.findall(r"\n\| query \| reason \|\n(.*?)\n\n", (ROOT / "docs/kibana.md").read_text(), re.DOTALL)
    documented = set(re.findall(r"`(\w+)`(?!:)", table))  # a colon follows the name of a query if it is about a column
    assert documented
    assert documented <= QUERIES.keys() - SOURCES.keys() - LISTS.keys(), "correct the table of docs/kibana.md"


def test_documents_include_the_hard_cases_of_delivery() -> None:
    rows = {row["service.instance.id"]: row for row in compute_expected_rows("instances", DOCUMENTS, START, END)}
    assert rows["e"]["found"] == 0 < rows["e"]["lost"]
    assert rows["d"]["found"] == 0 < rows["d"]["not_found_yet"]
    assert any(row["dropped"] for row in rows.values())


def _compute_lens_rows(query: str) -> list[dict[str, Any]]:
    """Return the rows of the query's Lens columns, with the column names of the query."""
    source = SOURCES[query]
    columns: dict[str, Any] = {}
    summed: list[str] = []
    for name, column in source.columns.items():
        if isinstance(column, Group):
            columns |= {name: compile_bucket(column.bucket, name)}
        elif isinstance(column, Figure) and _is_number(column):
            columns |= compile_columns(name, column.expression, name)
            if column.over:
                summed.append(name)
                columns |= {"over": compile_bucket(Terms(field=column.over), "over")}
    rows = execute(columns, _select_documents(source.view), kql=source.kql, range_seconds=(END - START).total_seconds())
    return [{name: sum(row[name] for row in rows) for name in summed}] if summed else rows


def _select_documents(view: str) -> list[Document]:
    return [each for each in DOCUMENTS if each["event"]["dataset"] in DATASETS[view]]


def _is_number(figure: Figure) -> bool:
    return not isinstance(figure.expression, Aggregate) or figure.expression.kind in NUMBERS_ONLY


def _convert_key(value: Any) -> Any:
    return None if value == "(none)" else value
