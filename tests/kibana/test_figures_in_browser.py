"""Figures of the dashboards in a real Kibana, read in a browser, compared with the answers of the queries."""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.kibana.dashboards import build_panel_index
from inferlog_ops.provision.kibana.lens.layers import is_form_based
from inferlog_ops.provision.kibana.lens.panels import find_document_list
from inferlog_ops.provision.kibana.lens.sources import SOURCES, AbsentColumn
from inferlog_ops.query import library
from inferlog_ops.query.dashboards import files
from inferlog_ops.query.dashboards.panels import list_panels
from inferlog_ops.query.dashboards.render import parse_query_name
from inferlog_ops.query.run import fetch_rows
from tests.golden import END, START, Golden, Row, compute_expected_rows
from tests.golden.reading import find_highest, sum_known
from tests.support.kibana_browsing import KibanaVisit, Table, open_kibana, parse_number
from tests.support.real_kibana import GoldenKibana

pytestmark = pytest.mark.kibana

QUERIES = library.load_all()
COMPARED = ("inferlog-overview", "inferlog-pipeline-health")
FULL_RANGE = (START, END - timedelta(seconds=1))  # Kibana includes the end of a range, the queries do not
SHORT_RANGE = (START + timedelta(minutes=4, seconds=3), START + timedelta(minutes=6, seconds=3))
OVER_TIME = "bucket"
BUCKET_WIDTH = re.compile(r" per (\d+ )?(millisecond|second|minute|hour|day)s?$")
SERVICE_OF_PROCESS = {"a": "scoring", "b": "gateway", "c": "gateway", "d": "scoring", "e": "gateway"}
HIGHEST_OF_PROCESSES = {"event_loop_lag_seconds", "gpu_utilization", "gpu_memory_usage_bytes"}
TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})\d*Z$")
MISSING = {"__missing__", "(missing value)", ""}
MILLISECOND_DIGITS = 13


@pytest.fixture(scope="module")
def visit(kibana_browser: Browser, golden_kibana: GoldenKibana) -> Iterator[KibanaVisit]:
    with open_kibana(kibana_browser, golden_kibana.url) as visit:
        yield visit


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("span", [FULL_RANGE, SHORT_RANGE], ids=["full range", "two minutes"])
@pytest.mark.parametrize("dashboard", COMPARED)
def test_every_figure_equals_the_answer_of_its_query(
    dashboard: str, span: tuple[datetime, datetime], visit: KibanaVisit, golden_kibana: GoldenKibana
) -> None:
    visit.open(golden_kibana.build_object_id(dashboard), *span)
    assert visit.list_panel_errors() == []
    assert find_differences(visit, dashboard, golden_kibana, span) == {}


@pytest.mark.timeout(1800)
def test_a_control_filters_every_panel(visit: KibanaVisit, golden_kibana: GoldenKibana) -> None:
    visit.open(golden_kibana.build_object_id("inferlog-overview"), *FULL_RANGE)
    visit.choose("Model version", "v2")
    differences = find_differences(visit, "inferlog-overview", golden_kibana, FULL_RANGE, model_version="v2")
    assert differences == {}


def test_filter_for_a_value_of_a_list_offers_the_trace(visit: KibanaVisit, golden_kibana: GoldenKibana) -> None:
    overview, trace = map(golden_kibana.build_object_id, ("inferlog-overview", "inferlog-trace-and-audit"))
    visit.open(overview, *FULL_RANGE)
    panel_id = build_panel_index(overview, "slowest")
    correlation_id = visit.filter_for(panel_id, "correlation_id", "Trace this chain of calls")
    visit.page.wait_for_url(re.compile(f"#/view/{trace}"))
    visit.wait_until_drawn()
    chains = visit.read_tables(build_panel_index(trace, "chains"))[0]
    assert [row["correlation id"] for row in chains] == [correlation_id]


@pytest.mark.parametrize("dashboard", [name for name in files.load_all() if name not in COMPARED])
def test_every_other_dashboard_is_drawn_without_an_error(
    dashboard: str, visit: KibanaVisit, golden_kibana: GoldenKibana
) -> None:
    visit.open(golden_kibana.build_object_id(dashboard), *FULL_RANGE)
    assert visit.list_panel_errors() == []
    assert visit.list_panel_ids()


@pytest.mark.parametrize("dashboard", ["inferlog-overview", "inferlog-pipeline-health"])
def test_dashboard_opens_with_its_stored_time_range(
    dashboard: str, visit: KibanaVisit, golden_kibana: GoldenKibana
) -> None:
    visit.open_stored(golden_kibana.build_object_id(dashboard))
    assert visit.read_time_range() == "Last 15 minutes"


def find_differences(
    visit: KibanaVisit,
    dashboard: str,
    kibana: GoldenKibana,
    span: tuple[datetime, datetime],
    model_version: str | None = None,
) -> dict[str, Any]:
    """Return what Kibana shows and what the query answers, for each layer where the two differ."""
    differences = {}
    compared = 0
    for panel in list_panels(files.load_all()[dashboard].body):
        if panel.type != "vis":
            continue
        if find_document_list(panel) is not None:
            shown = visit.read_documents(build_panel_index(kibana.build_object_id(dashboard), panel.id))
            wanted = fetch_rows(kibana.cluster, QUERIES[panel.queries[0]], *span, model_version)
            compared += _count_equal_documents(shown, wanted)
            continue
        if not is_form_based(panel):
            continue
        tables = visit.read_tables(build_panel_index(kibana.build_object_id(dashboard), panel.id))
        layers = panel.config.get("layers") or [panel.config]
        assert len(tables) == len(layers), panel.id
        for number, (table, layer) in enumerate(zip(tables, layers, strict=True)):
            wanted = _read_expected_rows(layer, table, kibana.cluster, kibana.documents, span, model_version)
            shown = _read_shown_rows(layer, table, wanted)
            compared += sum(len(row) for row in shown)
            if shown != [_approximate(row) for row in wanted]:
                differences[f"{panel.id}, layer {number}"] = {"Kibana": shown[:5], "query": wanted[:5]}
    assert compared > 0
    return differences


def _count_equal_documents(shown: Table, wanted: list[Row]) -> int:
    """Return the number of figures in *shown*, the first rows of a list, all equal to those of the query's answer."""
    assert bool(shown) == bool(wanted)
    for line, row in zip(shown, wanted, strict=False):  # the grid draws the visible rows and columns only
        assert {"correlation_id", "latency_seconds"} <= line.keys()
        # Rows of one latency have no order.
        equal = [each for each in wanted if each["latency_seconds"] == row["latency_seconds"]]
        assert any(_is_shown_by(line, each) for each in equal), (line, equal)
    return sum(map(len, shown))


def _is_shown_by(line: Row, row: Row) -> bool:
    for column in row.keys() & line.keys() - {"@timestamp"}:
        value = _simplify(row[column])
        if isinstance(value, int | float):
            if parse_number(line[column]) != pytest.approx(value, abs=5e-4):
                return False
        elif line[column] != (value or "-"):
            return False
    return True


def _read_expected_rows(
    layer: dict[str, Any],
    table: Table,
    cluster: Cluster,
    documents: Golden,
    span: tuple[datetime, datetime],
    model_version: str | None,
) -> list[Row]:
    """Return the rows of the layer's query, with the columns that the layer shows, sorted by the text columns."""
    name = parse_query_name(layer["data_source"]["query"])
    assert name is not None
    columns = _list_labels(layer)
    if not QUERIES[name].takes_model_version:
        model_version = None
    if OVER_TIME in columns:
        within = [
            each
            for each in documents.select_between(*span)
            if model_version is None or each.get("model_version") == model_version
        ]
        rows = compute_expected_rows(name, within, *span, width=_parse_bucket_width(table))
    else:
        rows = fetch_rows(cluster, QUERIES[name], *span, model_version)
    return _sort([{column: _simplify(row[column]) for column in columns} for row in rows])


def _read_shown_rows(layer: dict[str, Any], table: Table, wanted: list[Row]) -> list[Row]:
    """Return the rows of *table*, by the query's columns, with each value of the type in the query's answer."""
    columns = _list_labels(layer)
    rows = []
    for line in table:
        cells = {_find_label(header): text for header, text in line.items()}
        rows.append({column: _convert(cells.get(label, ""), column, wanted) for column, label in columns.items()})
    if parse_query_name(layer["data_source"]["query"]) == "saturation_over_time":
        rows = _combine_processes(rows)
    slices = {row.get(OVER_TIME) for row in wanted}
    # Kibana also has the slices of time without documents, and in a heatmap the bands without requests.
    rows = [row for row in rows if row.get(OVER_TIME) in slices or _has_figures(row)]
    return _sort([row for row in rows if layer.get("type") != "heatmap" or row["requests"]])


def _has_figures(row: Row) -> bool:
    return any(value for column, value in row.items() if column != OVER_TIME)


def _combine_processes(rows: list[Row]) -> list[Row]:
    """Return a row for each service from the rows of its processes, which Kibana shows as a stack."""
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[OVER_TIME], SERVICE_OF_PROCESS[row["service.name"]]].append(row)
    return [
        {
            column: {OVER_TIME: bucket, "service.name": service}.get(column)
            or (find_highest if column in HIGHEST_OF_PROCESSES else sum_known)(row[column] for row in inside)
            for column in inside[0]
        }
        for (bucket, service), inside in groups.items()
    ]


def _list_labels(layer: dict[str, Any]) -> dict[str, str]:
    """Return the labels of the columns that *layer* shows."""
    holders = (layer.get(key, []) for key in ("x", "breakdown_by", "metric", "y", "rows", "metrics"))
    parts = [part for holder in holders for part in (holder if isinstance(holder, list) else [holder])]
    name = parse_query_name(layer["data_source"]["query"])
    assert name is not None
    columns = SOURCES[name].columns
    return {
        part["column"]: getattr(columns[part["column"]], "label", "") or part.get("label") or part["column"]
        for part in parts
        if not isinstance(columns[part["column"]], AbsentColumn)
    }


def _find_label(header: str) -> str:
    return OVER_TIME if BUCKET_WIDTH.search(header) else header


def _parse_bucket_width(table: Table) -> timedelta:
    (header,) = (each for each in table[0] if _find_label(each) == OVER_TIME)
    found = BUCKET_WIDTH.search(header)
    assert found, header
    return int(found[1] or 1) * timedelta(**{f"{found[2]}s": 1})


def _convert(text: str, column: str, wanted: list[Row]) -> Any:
    """Return the figure in a cell, as the query answers it."""
    if column == "state":
        return "stopped" if text.endswith("_stopped") else "running"  # Kibana shows the message of the last heartbeat
    if column == OVER_TIME:
        return _format_milliseconds(int(float(text)))
    known = [row[column] for row in wanted if row[column] is not None]
    if known and not isinstance(known[0], str):
        return parse_number(text)
    if text.isdigit() and len(text) == MILLISECOND_DIGITS:
        return _format_milliseconds(int(text))
    if column == "waiting" and text:
        return "; ".join(sorted(text.split(",")))
    return None if text in MISSING else text


def _format_milliseconds(value: int) -> str:
    return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _simplify(value: Any) -> Any:
    """Return a time with the milliseconds that Kibana shows, and no value for a missing one."""
    if value == "(none)":
        return None
    return TIME.sub(r"\1Z", value) if isinstance(value, str) else value


def _approximate(row: Row) -> Row:
    """Allow for the last digits of a percentile or a quotient."""
    return {
        name: pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value
        for name, value in row.items()
    }


def _sort(rows: list[Row]) -> list[Row]:
    return sorted(
        rows, key=lambda row: [(value is not None, value) for value in row.values() if isinstance(value, str)]
    )
