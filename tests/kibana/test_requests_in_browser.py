"""Requests of the dashboards in a real Kibana, recorded in a browser, compared with those that benchmarks derive."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser

from benchmarks.day_of_events import END
from benchmarks.kibana_requests import has_own_requests, run_requests
from inferlog_ops.query.dashboards import files, slo
from inferlog_ops.query.dashboards.panels import Panel, list_panels
from inferlog_ops.query.dashboards.render import fill_levels
from tests.support.kibana_browsing import KibanaVisit, open_kibana
from tests.support.real_kibana import ProvisionedKibana

pytestmark = [pytest.mark.kibana, pytest.mark.timeout(600)]

PANELS: dict[str, list[Panel]] = {
    name: panels
    for name, dashboard in files.load_all().items()
    if (panels := list(filter(has_own_requests, list_panels(fill_levels(dashboard, slo.load())))))
}
EMPTY: dict[str, Any] = {"script_fields": {}, "runtime_mappings": {}}
OF_HITS = {"fields", "_source", "stored_fields"}


@pytest.fixture(scope="module")
def visit(kibana_browser: Browser, benchmark_kibana: ProvisionedKibana) -> Iterator[KibanaVisit]:
    with open_kibana(kibana_browser, benchmark_kibana.url) as visit:
        yield visit


@pytest.mark.parametrize("span", [timedelta(days=1), timedelta(hours=1)], ids=["day", "hour"])
@pytest.mark.parametrize("dashboard", PANELS)
def test_requests_of_a_dashboard_are_the_derived_ones(
    dashboard: str, span: timedelta, visit: KibanaVisit, benchmark_kibana: ProvisionedKibana
) -> None:
    visit.open(benchmark_kibana.build_object_id(dashboard), END - span, END)
    sent = [format_request(search["index"], search["body"]) for search in visit.searches]
    namespace = benchmark_kibana.cluster.namespace
    with benchmark_kibana.cluster.build_client() as client:
        derived = {
            format_request(",".join(request.list_streams(namespace)), request.body)
            for panel in PANELS[dashboard]
            for request, _ in run_requests(client, namespace, panel, END - span, END)
        }
    # Kibana sends a request of several panels once.
    assert sorted(sent) == sorted(derived)


def format_request(index: str, body: dict[str, Any]) -> str:
    """Return the request as text, without names, and without parts that cost nothing."""
    parts = {name: part for name, part in body.items() if EMPTY.get(name) != part}
    if not body["size"]:
        parts = {name: part for name, part in parts.items() if name not in OF_HITS}
    return f"{index} {json.dumps(forget_names(parts), sort_keys=True)}"


def forget_names(node: Any) -> Any:
    """Return *node* with sorted aggregations instead of named ones, and without the browser's time zone."""
    if isinstance(node, list):
        return [forget_names(each) for each in node]
    if not isinstance(node, dict):
        return node
    parts = {name: forget_names(part) for name, part in node.items() if name != "time_zone"}
    if "aggs" in parts:
        parts["aggs"] = sorted(parts["aggs"].values(), key=lambda agg: json.dumps(agg, sort_keys=True))
    if "terms" in parts:
        parts["terms"]["order"] = {
            name if name == "_count" else "rank": direction for name, direction in parts["terms"]["order"].items()
        }
    return parts
