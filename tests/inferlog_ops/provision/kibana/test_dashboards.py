"""Dashboard files as saved objects."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.kibana import data_views
from inferlog_ops.provision.kibana.dashboards import build_dashboard, build_panel_index
from inferlog_ops.provision.kibana.lens.layers import is_form_based
from inferlog_ops.provision.kibana.lens.panels import PanelContext, build_panel, find_document_list
from inferlog_ops.provision.kibana.saved_objects import SavedObject
from inferlog_ops.query import library
from inferlog_ops.query.dashboards import files, query_library
from inferlog_ops.query.dashboards.files import Dashboard
from inferlog_ops.query.dashboards.panels import Panel, list_panels
from inferlog_ops.query.dashboards.render import fill_levels
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.dashboards.slo import load as load_levels
from tests.golden import END, START, Row, build_golden, compute_expected_rows

DASHBOARDS = files.load_all()
QUERIES = library.load_all()
VIEWS = data_views.load_all()
BASES = {*DASHBOARDS, *VIEWS, *(f"inferlog-query-{name}" for name in QUERIES)}
ESQL_CHARTS = [
    pytest.param(panel, id=f"{dashboard.id}/{panel.id}")
    for dashboard in DASHBOARDS.values()
    for panel in list_panels(fill_levels(dashboard, load_levels()))
    if panel.type == "vis" and not is_form_based(panel) and find_document_list(panel) is None
]
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]+Z")
OLD_AND_NEW = pytest.mark.parametrize("has_time_parameters", [False, True], ids=["8.12", "8.16"])
EACH_DASHBOARD = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS.keys())


def build(dashboard: Dashboard, *, namespace: str = "default", has_time_parameters: bool = False) -> SavedObject:
    return build_dashboard(dashboard, load_levels(), QUERIES, namespace, BASES, has_time_parameters=has_time_parameters)


def read_saved_panels(saved: SavedObject) -> dict[str, dict[str, Any]]:
    """Return the panels by their ids in the file."""
    content = json.loads(saved.attributes["panelsJSON"])
    return {panel["panelIndex"].removeprefix(f"{saved.id}-"): panel for panel in content}


def find_chart(saved: SavedObject, panel_id: str) -> dict[str, Any]:
    attributes: dict[str, Any] = read_saved_panels(saved)[panel_id]["embeddableConfig"]["attributes"]
    return attributes


def find_layers(saved: SavedObject, panel_id: str) -> dict[str, Any]:
    layers: dict[str, Any] = find_chart(saved, panel_id)["state"]["datasourceStates"]["formBased"]["layers"]
    return layers


def wrap_panel(**config: Any) -> Dashboard:
    item = {"type": "vis", "id": "one", "grid": {"x": 0, "y": 0, "w": 12, "h": 8}, "config": config}
    body = {"title": "X", "time_range": {"from": "now-1h", "to": "now"}, "panels": [item]}
    return Dashboard(id="inferlog-x", path=Path("inferlog-x.json"), body=body)


def build_metric(query: str, column: str) -> Dashboard:
    return wrap_panel(
        type="metric",
        data_source={"type": "esql", "query": f"queries/{query}.esql"},
        metrics=[{"type": "primary", "column": column}],
    )


def test_column_that_is_not_mapped_is_an_error_with_the_place_to_add_it() -> None:
    with pytest.raises(
        OperatorError, match=r"inferlog-x\.json: panel inferlog-x-one shows the column p98_seconds .*/sources\.py"
    ):
        build(build_metric("p99_latency", "p98_seconds"))


@OLD_AND_NEW
def test_missing_query_of_a_panel_is_an_error(has_time_parameters: bool) -> None:
    wording = r"inferlog-x\.json: a panel refers to queries/p99\.esql, which does not exist"
    with pytest.raises(OperatorError, match=wording):
        build(build_metric("p99", "p99_seconds"), has_time_parameters=has_time_parameters)


@pytest.mark.parametrize("panel", ESQL_CHARTS)
def test_kind_of_each_esql_column_is_that_of_its_values(panel: Panel) -> None:
    """Golden rows have numbers as numbers and dates as texts, which the head of the query file marks with UTC."""
    context = PanelContext(queries=QUERIES, namespace="default", find_id=str, has_time_parameters=True)
    state = build_panel(panel, context).content["embeddableConfig"]["attributes"]["state"]
    layers = state["datasourceStates"]["textBased"]["layers"].values()
    for query, layer in zip(panel.queries, layers, strict=True):
        for column in layer["columns"]:
            name, kind = column["fieldName"], column["meta"]["type"]
            values = [row[name] for row in run_golden_query(query) if row.get(name) is not None]
            assert {name_kind(value) for value in values} <= {kind}, (
                f"{name} of {query} is a {kind} in the panel {panel.id}: a number needs a format in the dashboard's "
                f"file, a date the unit UTC in the head of dashboards/queries/{query}.esql"
            )


def run_golden_query(query: str) -> list[Row]:
    if "FROM inferlog-alerts-*" in QUERIES[query].text:
        return []  # no golden documents are alerts
    return compute_expected_rows(query, build_golden().select_between(START, END), START, END)


def name_kind(value: Any) -> str:
    if isinstance(value, int | float):
        return "number"
    return "date" if DATE.fullmatch(str(value)) else "string"


@OLD_AND_NEW
@EACH_DASHBOARD
def test_every_panel_of_the_file_is_in_the_saved_object(dashboard: Dashboard, has_time_parameters: bool) -> None:
    saved = build(dashboard, has_time_parameters=has_time_parameters)
    found = read_saved_panels(saved)
    listed = (
        set() if has_time_parameters else {panel.id for panel in list_panels(dashboard.body) if panel.type != "vis"}
    )
    assert found.keys() | listed >= {panel.id for panel in list_panels(dashboard.body)}
    for panel in list_panels(dashboard.body):
        if found.get(panel.id, {}).get("type") == "lens":
            assert found[panel.id]["title"] == panel.title


@OLD_AND_NEW
@EACH_DASHBOARD
def test_panels_do_not_overlap(dashboard: Dashboard, has_time_parameters: bool) -> None:
    taken: set[tuple[int, int]] = set()
    for panel_id, panel in read_saved_panels(build(dashboard, has_time_parameters=has_time_parameters)).items():
        grid = panel["gridData"]
        assert grid["i"] == panel["panelIndex"] == build_panel_index(dashboard.id, panel_id)
        cells = {
            (column, row)
            for column in range(grid["x"], grid["x"] + grid["w"])
            for row in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken
        taken |= cells


@OLD_AND_NEW
@EACH_DASHBOARD
def test_references_name_existing_objects_and_their_places(dashboard: Dashboard, has_time_parameters: bool) -> None:
    saved = build(dashboard, has_time_parameters=has_time_parameters)
    assert {each["id"] for each in saved.references} <= BASES
    names = [each["name"] for each in saved.references]
    assert len(names) == len(set(names))
    assert set(names) == set(list_expected_names(saved))


def list_expected_names(saved: SavedObject) -> Iterator[str]:
    """Yield the names of the references that the content of *saved* needs."""
    for panel in read_saved_panels(saved).values():
        config, panel_id = panel["embeddableConfig"], panel["panelIndex"]
        if "panelRefName" in panel:
            yield f"{panel_id}:{panel['panelRefName']}"
        yield from (f"{panel_id}:{each['name']}" for each in config.get("attributes", {}).get("references", []))
        if panel["type"] == "lens":
            for layer in config["attributes"]["state"]["datasourceStates"].get("formBased", {}).get("layers", {}):
                yield f"{panel_id}:indexpattern-datasource-layer-{layer}"
        elif panel["type"] == "search" and "attributes" in config:
            source = json.loads(config["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
            yield f"{panel_id}:{source['indexRefName']}"
        for event in config["enhancements"].get("dynamicActions", {}).get("events", []):
            yield f"{panel_id}:drilldown:{event['action']['factoryId']}:{event['eventId']}:dashboardId"
    for control in json.loads(saved.attributes["controlGroupInput"]["panelsJSON"]):
        yield f"controlGroup_{control}:optionsListDataView"


@EACH_DASHBOARD
def test_every_form_based_column_that_a_chart_draws_exists(dashboard: Dashboard) -> None:
    saved = build(dashboard)
    for panel_id, panel in read_saved_panels(saved).items():
        if panel["type"] != "lens":
            continue
        layers = find_layers(saved, panel_id)
        columns = {name for layer in layers.values() for name in layer["columns"]}
        assert set(find_drawn_columns(find_chart(saved, panel_id)["state"]["visualization"])) <= columns
        for layer in layers.values():
            buckets = [layer["columns"][name]["isBucketed"] for name in layer["columnOrder"]]
            assert buckets == sorted(buckets, reverse=True)


def find_drawn_columns(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from find_drawn_columns(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in {"columnId", "forAccessor"} or key.endswith("Accessor"):
                yield value
            elif key == "accessors":
                yield from value
            else:
                yield from find_drawn_columns(value)


@EACH_DASHBOARD
def test_ids_titles_and_links_follow_the_namespace(dashboard: Dashboard) -> None:
    saved = build(dashboard, namespace="staging", has_time_parameters=True)
    assert saved.id == f"{dashboard.id}-staging"
    assert saved.attributes["title"] == f"{dashboard.title} (staging)"
    assert {each["id"] for each in saved.references} <= {f"{base}-staging" for base in BASES}
    content = saved.attributes["panelsJSON"]
    assert content.count("#/view/") == content.count("-staging)")
    assert "logs-inference.events-*" not in content


@EACH_DASHBOARD
def test_time_range_refresh_and_controls_are_those_of_the_file(dashboard: Dashboard) -> None:
    attributes = build(dashboard).attributes
    assert attributes["timeRestore"] is True
    assert (attributes["timeFrom"], attributes["timeTo"]) == tuple(dashboard.body["time_range"].values())
    assert attributes["refreshInterval"] == dashboard.body["refresh_interval"]
    controls = json.loads(attributes["controlGroupInput"]["panelsJSON"])
    assert {name: each["explicitInput"]["fieldName"] for name, each in controls.items()} == {
        each["id"]: each["config"]["field_name"] for each in dashboard.body["pinned_panels"]
    }


def test_no_panel_of_two_dashboards_has_the_same_id_in_kibana() -> None:
    saved = [build(dashboard, namespace=name) for dashboard in DASHBOARDS.values() for name in ("default", "staging")]
    ids = [panel["panelIndex"] for each in saved for panel in json.loads(each.attributes["panelsJSON"])]
    assert len(ids) == len(set(ids))


def test_tile_turns_red_at_the_service_level() -> None:
    levels = ServiceLevels(default={**load_levels().default, "p99_latency_seconds": 2.5})
    saved = build_dashboard(
        DASHBOARDS["inferlog-overview"], levels, QUERIES, "default", BASES, has_time_parameters=False
    )
    palette = find_chart(saved, "p99")["state"]["visualization"]["palette"]["params"]
    assert palette["colorStops"] == [{"color": "#24c292", "stop": 0}, {"color": "#f6726a", "stop": 2.5}]


def test_events_without_a_model_version_are_shown() -> None:
    saved = build(DASHBOARDS["inferlog-overview"])
    for panel_id in ("p99", "p99-over-time", "versions", "errors-by-type"):
        terms = find_layers(saved, panel_id)["layer1"]["columns"]["model_version"]["params"]
        assert (terms["missingBucket"], terms["otherBucket"]) == (True, True)


def test_layer_that_ignores_the_controls_keeps_its_own_filter() -> None:
    layer = find_layers(build(DASHBOARDS["inferlog-pipeline-health"]), "shippers")["layer1"]
    assert layer["ignoreGlobalFilters"] is True
    filters = layer["columns"]["documents"]["params"]["filters"]
    assert [each["input"]["query"] for each in filters] == ["shipper.shipped: *"]


def test_figure_over_all_instances_is_combined_by_lens() -> None:
    chart = find_chart(build(DASHBOARDS["inferlog-pipeline-health"]), "lost")["state"]["visualization"]
    assert (chart["breakdownByAccessor"], chart["collapseFn"]) == ("service_instance_id", "sum")


def test_layer_with_figures_added_up_and_others_is_an_error() -> None:
    source = {"type": "esql", "query": "queries/backlog_over_time.esql"}
    figures = [{"column": "refused"}, {"column": "behind_seconds"}]
    layer = {"type": "line", "data_source": source, "x": {"column": "bucket"}, "y": figures}
    with pytest.raises(OperatorError, match="panel inferlog-x-one: a layer has figures that are added up, and others"):
        build(wrap_panel(type="xy", layers=[layer]))


@OLD_AND_NEW
def test_list_of_documents_is_a_discover_session_with_the_drilldown_of_the_file(has_time_parameters: bool) -> None:
    saved = build(DASHBOARDS["inferlog-overview"], has_time_parameters=has_time_parameters)
    panel = read_saved_panels(saved)["slowest"]
    session = panel["embeddableConfig"]["attributes"]
    assert (panel["type"], session["sort"], session["sampleSize"]) == ("search", [["latency_seconds", "desc"]], 20)
    assert session["columns"][:3] == ["model_version", "http.route", "status"]
    source = json.loads(session["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert source["query"] == {"query": "latency_seconds: *", "language": "kuery"}
    (event,) = panel["embeddableConfig"]["enhancements"]["dynamicActions"]["events"]
    assert event["action"]["name"] == "Trace this chain of calls"


def test_panel_that_lens_cannot_express_names_the_command_before_8_16() -> None:
    panel = read_saved_panels(build(DASHBOARDS["inferlog-canary"]))["verdict"]
    assert panel["type"] == "visualization"
    text = panel["embeddableConfig"]["savedVis"]["params"]["markdown"]
    assert "Kibana 8.16" in text
    assert "`inferlog query canary_comparison`" in text


def test_panel_that_lens_cannot_express_is_esql_since_8_16() -> None:
    saved = build(DASHBOARDS["inferlog-canary"], namespace="prod", has_time_parameters=True)
    state = find_chart(saved, "verdict")["state"]
    layer = state["datasourceStates"]["textBased"]["layers"]["layer1"]
    assert layer["query"]["esql"] == library.fill_namespace(QUERIES["canary_comparison"], "prod")
    assert layer["index"] in state["adHocDataViews"]
    assert {"columnId": "verdict", "fieldName": "verdict", "meta": {"type": "string"}}.items() <= next(
        column for column in layer["columns"] if column["fieldName"] == "verdict"
    ).items()


def test_table_leaves_out_the_columns_that_lens_cannot_compute() -> None:
    columns = find_chart(build(DASHBOARDS["inferlog-pipeline-health"]), "instances")["state"]["visualization"][
        "columns"
    ]
    shown = {column["columnId"] for column in columns}
    assert "lost" in shown
    assert "silent_seconds" not in shown


def test_query_library_opens_the_saved_queries_since_8_16() -> None:
    saved = build(DASHBOARDS[query_library.ID], has_time_parameters=True)
    assert {each["id"] for each in saved.references if each["type"] == "search"} == {
        f"inferlog-query-{name}" for name in QUERIES
    }


def test_query_library_lists_the_queries_before_8_16() -> None:
    content = build(DASHBOARDS[query_library.ID]).attributes["panelsJSON"]
    assert all(f"`inferlog query {name}`" in content for name in QUERIES)
