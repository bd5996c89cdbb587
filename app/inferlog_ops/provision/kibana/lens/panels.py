"""Panels of a dashboard's saved object: form-based charts, ES|QL charts, texts and lists of documents."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from inferlog_ops.provision.kibana.lens.charts import Chart, build_chart
from inferlog_ops.provision.kibana.lens.esql import EsqlLayers
from inferlog_ops.provision.kibana.lens.layers import FormBasedLayerBuilder, find_filter, is_form_based
from inferlog_ops.provision.kibana.lens.sources import LISTS, DocumentList
from inferlog_ops.query.dashboards.panels import Panel
from inferlog_ops.query.library import Query

_LAYER_REFERENCE = "indexpattern-datasource-layer-"
_SEARCH_REFERENCE = "kibanaSavedObjectMeta.searchSourceJSON.index"
_DRILLDOWN = "DASHBOARD_TO_DASHBOARD_DRILLDOWN"
_ROWS_OF_A_PAGE = 25  # the smallest of Discover's choices that takes a whole list
_ONE_LINE = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelContext:
    """
    Inputs of panels beyond their file.

    Attributes:
        queries: The queries by name.
        namespace: Namespace of the streams.
        find_id: Returns the id in this namespace of an object of ours.
        has_time_parameters: Whether this Kibana knows ``?_tstart`` in ES|QL.
    """

    queries: Mapping[str, Query]
    namespace: str
    find_id: Callable[[str], str]
    has_time_parameters: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPanel:
    """
    A panel of a saved dashboard.

    Attributes:
        content: Its entry in ``panelsJSON``, without place.
        references: Objects that the panel refers to, named as in the dashboard.
    """

    content: dict[str, Any]
    references: tuple[dict[str, str], ...] = ()


def build_panel(panel: Panel, context: PanelContext) -> SavedPanel:
    """
    Return *panel*, which has the values of the service levels.

    Raises:
        OperatorError: If a query does not exist, or a column of a form-based chart has no Lens operation.
    """
    if panel.type == "markdown":
        return build_text(panel.id, panel.config["content"])
    if panel.type == "discover_session":
        return _build_session(panel, context)
    if (listed := find_document_list(panel)) is not None:
        return _build_document_list(panel, listed, context)
    if is_form_based(panel):
        return _build_form_based(panel, context)
    # Also built for a Kibana that gets the text: a wrong reference is an error in every version.
    chart = _build_esql(panel, context)
    return chart if context.has_time_parameters else build_text(panel.id, _describe_missing_chart(panel))


def find_document_list(panel: Panel) -> DocumentList | None:
    """Return the list of documents that *panel* shows, if it is a table of one."""
    return LISTS.get(panel.queries[0]) if panel.config["type"] == "data_table" else None


def build_text(panel_id: str, content: str) -> SavedPanel:
    source = {"query": {"query": "", "language": "kuery"}, "filter": []}
    saved = {
        "id": "",
        "title": "",
        "description": "",
        "type": "markdown",
        "params": {"fontSize": 12, "openLinksInNewTab": False, "markdown": content},
        "uiState": {},
        "data": {"aggs": [], "searchSource": source},
    }
    config = {"hidePanelTitles": True, "enhancements": {}, "savedVis": saved}
    return SavedPanel(content={"type": "visualization", "panelIndex": panel_id, "embeddableConfig": config})


def build_query_list(section_id: str, sessions: Sequence[Panel]) -> SavedPanel:
    """Return a panel that lists *sessions*, for a Kibana that cannot run their queries."""
    lines = (f"- **{panel.title}** {panel.config['description']} `inferlog query {panel.title}`" for panel in sessions)
    return build_text(section_id, "\n".join(lines))


def _describe_missing_chart(panel: Panel) -> str:
    commands = " · ".join(f"`inferlog query {name}`" for name in dict.fromkeys(panel.queries))
    return f"**{panel.title}**\n\nThis panel needs Kibana 8.16 or newer. In the terminal: {commands}"


def _build_session(panel: Panel, context: PanelContext) -> SavedPanel:
    name = f"panel_{panel.id}"
    reference = {
        "name": f"{panel.id}:{name}",
        "type": "search",
        "id": context.find_id(f"inferlog-query-{panel.queries[0]}"),
    }
    content = {
        "type": "search",
        "panelIndex": panel.id,
        "panelRefName": name,
        "title": panel.title,
        "embeddableConfig": {"enhancements": {}, "description": panel.config["description"]},
    }
    return SavedPanel(content=content, references=(reference,))


def _build_document_list(panel: Panel, listed: DocumentList, context: PanelContext) -> SavedPanel:
    shown = [item["column"] for item in (*panel.config["rows"], *panel.config["metrics"])]
    source = {
        "query": {"query": listed.kql, "language": "kuery"},
        "filter": [],
        "indexRefName": _SEARCH_REFERENCE,
    }
    attributes = {
        "title": panel.title,
        "description": panel.config.get("description", ""),
        "columns": [column for column in shown if column != "@timestamp"],  # Discover shows it first by default
        "sort": [[listed.sort, "desc"]],
        "grid": {},
        "hideChart": True,
        "isTextBasedQuery": False,
        "timeRestore": False,
        "sampleSize": listed.most_documents,
        "rowHeight": _ONE_LINE,
        "rowsPerPage": _ROWS_OF_A_PAGE,
        "kibanaSavedObjectMeta": {"searchSourceJSON": orjson.dumps(source).decode()},
    }
    reference = {"name": _SEARCH_REFERENCE, "type": "index-pattern", "id": context.find_id(listed.view)}
    return _build_by_value(panel, "search", attributes, (reference,))


def _build_form_based(panel: Panel, context: PanelContext) -> SavedPanel:
    chart = build_chart(panel, lambda holder: FormBasedLayerBuilder(panel, holder))
    references = tuple(
        {"type": "index-pattern", "id": context.find_id(layer.view), "name": f"{_LAYER_REFERENCE}{layer_id}"}
        for layer_id, layer in chart.layers.items()
    )
    kql = find_filter(panel, chart.layers.values())
    state = _build_chart_state(chart, "formBased") | {
        "query": {"query": kql, "language": "kuery"},
        "adHocDataViews": {},
    }
    return _build_lens(panel, chart, state, references)


def _build_esql(panel: Panel, context: PanelContext) -> SavedPanel:
    chart = build_chart(panel, EsqlLayers(context.queries, context.namespace).begin)
    views = {layer.view_id: layer.describe_view() for layer in chart.layers.values()}
    text = next(iter(chart.layers.values())).text
    state = _build_chart_state(chart, "textBased") | {"query": {"esql": text}, "adHocDataViews": views}
    return _build_lens(panel, chart, state, ())


def _build_chart_state(chart: Chart, datasource: str) -> dict[str, Any]:
    layers = {layer_id: layer.to_json() for layer_id, layer in chart.layers.items()}
    return {
        "visualization": chart.visualization,
        "filters": [],
        "datasourceStates": {datasource: {"layers": layers}},
        "internalReferences": [],
    }


def _build_lens(
    panel: Panel,
    chart: Chart,
    state: dict[str, Any],
    references: tuple[dict[str, str], ...],
) -> SavedPanel:
    attributes = {
        "title": panel.title,
        "description": panel.config.get("description", ""),
        "type": "lens",
        "visualizationType": chart.kind,
        "state": state,
    }
    return _build_by_value(panel, "lens", attributes, references)


def _build_by_value(
    panel: Panel, kind: str, attributes: Mapping[str, Any], references: tuple[dict[str, str], ...]
) -> SavedPanel:
    """Return a panel that holds its saved object of *kind* itself, with the drilldowns of the file."""
    drilldowns = [_Drilldown(panel, item) for item in panel.config.get("drilldowns", [])]
    events = {"dynamicActions": {"events": [each.event for each in drilldowns]}} if drilldowns else {}
    content = {
        "type": kind,
        "panelIndex": panel.id,
        "title": panel.title,
        "embeddableConfig": {
            "description": attributes["description"],
            "hidePanelTitles": False,
            "enhancements": events,
            "attributes": {**attributes, "references": list(references)},
        },
    }
    targets = tuple({"type": "dashboard", "id": each.target, "name": each.reference} for each in drilldowns)
    named = tuple({**each, "name": f"{panel.id}:{each['name']}"} for each in (*references, *targets))
    return SavedPanel(content=content, references=named)


class _Drilldown:
    """A click that opens another dashboard: its event, and the name of its reference."""

    def __init__(self, panel: Panel, item: Mapping[str, Any]) -> None:
        event_id = hashlib.sha256(f"{panel.id} {item['dashboard_id']}".encode()).hexdigest()[:16]
        self.target: str = item["dashboard_id"]
        self.reference = f"drilldown:{_DRILLDOWN}:{event_id}:dashboardId"
        config = {
            "useCurrentFilters": item["use_filters"],
            "useCurrentDateRange": item["use_time_range"],
            "openInNewTab": False,
        }
        self.event = {
            "eventId": event_id,
            "triggers": ["FILTER_TRIGGER"],
            "action": {"factoryId": _DRILLDOWN, "name": item["label"], "config": config},
        }
