"""Dashboard files compared with Kibana's schema, the queries, the service levels, the index, and each other."""

import re
from pathlib import Path

import pytest

from inferlog_ops.query import library
from inferlog_ops.query.dashboards import files, slo
from inferlog_ops.query.dashboards.panels import Panel, list_panels
from inferlog_ops.query.dashboards.render import fill_levels
from tests.kibana.faults import find_faults, read
from tests.kibana.json_paths import walk
from tests.support.panel_queries import list_columns_by_query, read_mapped_fields

ROOT = Path(__file__).parents[2]
DASHBOARDS = files.load_all()
QUERIES = library.load_all()
PANELS = [
    pytest.param(panel, id=f"{dashboard.id}/{panel.id}")
    for dashboard in DASHBOARDS.values()
    for panel in list_panels(dashboard.body)
]
PROMISED = ["overview", "canary", "pipeline-health", "trace-and-audit", "query-library", "alerts"]
SEVERAL_VERSIONS_OF_A_PROCESS = {"model_version", "http.route"}
UNITS = {  # how a figure's name ends, and the format that shows its unit
    "_per_second": "number",
    "_seconds": "duration",
    "_bytes": "bytes",
    "_rate": "percent",
    "_rate_low": "percent",
    "_rate_high": "percent",
    "_share": "percent",
    "gpu_utilization": "percent",
    "_usd": "custom",
    "_usd_per_hour": "custom",
    "_per_1000_requests": "custom",
}


@pytest.mark.parametrize("name", PROMISED)
def test_dashboard_is_there(name: str) -> None:
    assert f"inferlog-{name}" in DASHBOARDS


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=lambda dashboard: dashboard.id)
def test_file_follows_the_schema(dashboard: files.Dashboard) -> None:
    """The schema of the files is that of Kibana 9.5's dashboards API, with names of query files as queries."""
    if dashboard.path.is_file():  # the query library is made from the query files
        read(dashboard.path.read_text(encoding="utf-8"))
    assert [str(fault) for fault in find_faults(fill_levels(dashboard, slo.load()))] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=lambda dashboard: dashboard.id)
def test_dashboard_begins_with_description_and_links_to_all_others(dashboard: files.Dashboard) -> None:
    head = next(list_panels(dashboard.body))
    assert head.type == "markdown"
    assert head.config["content"].startswith("### ")
    linked = set(re.findall(r"\(#/view/([^)]+)\)", head.config["content"]))
    assert linked == DASHBOARDS.keys() - {dashboard.id}


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=lambda dashboard: dashboard.id)
def test_drilldowns_lead_to_existing_dashboards(dashboard: files.Dashboard) -> None:
    objects = [node for _, node in walk(dashboard.body) if isinstance(node, dict)]
    found = {node["dashboard_id"] for node in objects if "dashboard_id" in node}
    assert found <= DASHBOARDS.keys() - {dashboard.id}


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=lambda dashboard: dashboard.id)
def test_controls_use_fields_of_the_data_view(dashboard: files.Dashboard) -> None:
    for control in dashboard.body["pinned_panels"]:
        data_view = control["config"]["data_view_id"]
        assert (ROOT / "kibana" / "data_views" / f"{data_view}.json").exists()
        if data_view == "inferlog-events":
            assert control["config"]["field_name"] in read_mapped_fields("events")


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_has_an_id_and_every_chart_a_title(panel: Panel) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", panel.id)
    assert not panel.id.startswith("panel-")
    assert panel.title or panel.type == "markdown"


@pytest.mark.parametrize("panel", PANELS)
def test_every_figure_is_shown_in_its_unit(panel: Panel) -> None:
    for _, node in walk(panel.config):
        if isinstance(node, dict) and "column" in node:
            wanted = next((unit for ending, unit in UNITS.items() if node["column"].endswith(ending)), None)
            assert wanted in {None, node.get("format", {}).get("type")}, node["column"]


@pytest.mark.parametrize("panel", PANELS)
def test_colour_thresholds_are_service_levels_or_any_occurrence(panel: Panel) -> None:
    """A threshold in the file would not follow a change of the service level."""
    for _, node in walk(panel.config):
        if isinstance(node, dict) and node.get("type") == "dynamic":
            limits = {step[end] for step in node["steps"] for end in ("lt", "gte") if end in step}
            assert all(isinstance(limit, str) or limit in {0.999, 1} for limit in limits)


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=lambda dashboard: dashboard.id)
def test_filters_are_ignored_by_panels_that_need_all_events(dashboard: files.Dashboard) -> None:
    """One model version's sequence has gaps, and heartbeats have no route: such panels ignore these filters."""
    filtered = {control["config"]["field_name"] for control in dashboard.body["pinned_panels"]}
    if not filtered & SEVERAL_VERSIONS_OF_A_PROCESS:
        return
    for panel in list_panels(dashboard.body):
        for holder in panel.config.get("layers") or [panel.config]:
            for name in list_columns_by_query(panel):
                if not QUERIES[name].takes_model_version and name in str(holder.get("data_source")):
                    assert holder.get("ignore_global_filters"), f"{panel.id} asks {name}"
