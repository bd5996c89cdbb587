"""
Search requests that Kibana makes of a form-based chart, derived from its Lens columns, or of a list of documents.

A benchmark of a dashboard needs the cost of these requests, not of the ES|QL files: Kibana since 8.4 asks for all
percentiles of a field in one aggregation. Covers the operations that our charts use, and raises for any other.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_alerts_stream_name, build_stream_name
from inferlog_ops.provision.kibana.lens.charts import build_chart
from inferlog_ops.provision.kibana.lens.layers import (
    FormBasedLayer,
    FormBasedLayerBuilder,
    find_filter,
    is_form_based,
)
from inferlog_ops.provision.kibana.lens.panels import find_document_list
from inferlog_ops.provision.kibana.lens.sources import ALERTS, DELIVERY, EVENTS, HEALTH, DocumentList
from inferlog_ops.query.dashboards.panels import Panel
from inferlog_ops.query.timerange import format_iso

Body = dict[str, Any]

_CONDITION = re.compile(r'([@\w.]+): (\*|"[^"]*"|\("[^"]*"(?: or "[^"]*")*\))')
_OR = re.compile(r" or (?=[@\w.]+: )")
_TEXT = re.compile(r'"([^"]*)"')
_STREAMS = {EVENTS: ["events"], HEALTH: ["health"], DELIVERY: ["events", "health"]}
_MISSING, _RANK, _DOCUMENTS = "__missing__", "rank", "___records___"
_BARS = 75
"""Kibana's default number of slices in a range, before it rounds their width."""
_WIDTHS = [timedelta(seconds=each) for each in (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 43200, 86400)]
_METRICS = {"sum": "sum", "average": "avg", "min": "min", "max": "max", "unique_count": "cardinality"}
_OF_THE_BROWSER = {"formula", "math", "overall_sum", "overall_min"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KibanaRequest:
    """
    A request of one layer.

    Attributes:
        view: Id of its data view.
        body: Body of ``_search``.
    """

    view: str
    body: Body

    def list_streams(self, namespace: str) -> list[str]:
        """Return the streams of the data view in *namespace*."""
        if self.view == ALERTS:
            return [build_alerts_stream_name(namespace)]
        return [build_stream_name(kind, namespace) for kind in _STREAMS[self.view]]


def build_requests(panel: Panel, start: datetime, end: datetime) -> list[KibanaRequest]:
    """
    Return the request of each layer of *panel*, a form-based chart, or the one of a list of documents.

    Raises:
        OperatorError: If a column has an operation or a filter that this module does not know.
    """
    if (listed := find_document_list(panel)) is not None:
        return [KibanaRequest(view=listed.view, body=_build_list_body(listed, start, end))]
    layers = build_chart(panel, lambda holder: FormBasedLayerBuilder(panel, holder)).layers
    kql = find_filter(panel, layers.values())
    return [
        KibanaRequest(view=layer.view, body=_build_body(layer, "" if layer.ignores_filters else kql, start, end))
        for layer in layers.values()
    ]


def has_own_requests(panel: Panel) -> bool:
    """Return whether Kibana gets *panel* by requests of its own, and not by the query."""
    return panel.type == "vis" and (find_document_list(panel) is not None or is_form_based(panel))


def _build_list_body(listed: DocumentList, start: datetime, end: datetime) -> Body:
    order = [{listed.sort: {"order": "desc"}}, *([{"@timestamp": "desc"}] if listed.sort != "@timestamp" else [])]
    return {
        "size": listed.most_documents,
        "track_total_hits": True,
        "query": _build_query(listed.kql, start, end),
        "sort": [*order, {"_doc": "desc"}],
        "fields": [{"field": "*", "include_unmapped": True}],
        "_source": False,
    }


def _build_query(kql: str, start: datetime, end: datetime) -> Body:
    times = {"gte": format_iso(start), "lte": format_iso(end), "format": "strict_date_optional_time"}
    in_range = {"range": {"@timestamp": times}}
    return {"bool": {"filter": [in_range, *([build_filter(kql)] if kql else [])]}}


def _build_body(layer: FormBasedLayer, kql: str, start: datetime, end: datetime) -> Body:
    groups = {name: column for name, column in layer.columns.items() if column["isBucketed"]}
    metrics = dict(_build_metrics(layer.columns))
    for name, column in reversed(groups.items()):
        group = _build_group(column, end - start)
        metrics = {name: {**group, "aggs": {**group.get("aggs", {}), **metrics}}}
    return {"size": 0, "track_total_hits": False, "query": _build_query(kql, start, end), "aggs": metrics}


def _build_group(column: Mapping[str, Any], span: timedelta) -> Body:
    params = column["params"]
    match column["operationType"]:
        case "terms":
            return _build_terms(column["sourceField"], params)
        case "date_histogram":
            width = next((each for each in _WIDTHS if span / each <= _BARS), _WIDTHS[-1])
            interval = f"{int(width.total_seconds())}s"
            return {"date_histogram": {"field": "@timestamp", "fixed_interval": interval, "min_doc_count": 1}}
        case "range":
            ranges = [{end: each[end] for end in ("from", "to") if each[end] is not None} for each in params["ranges"]]
            return {"range": {"field": column["sourceField"], "ranges": ranges, "keyed": True}}
        case "filters":
            filters = {each["label"]: build_filter(each["input"]["query"]) for each in params["filters"]}
            return {"filters": {"filters": filters}}
    raise OperatorError(f"no request for groups of the operation {column['operationType']}")


def _build_terms(field: str, params: Mapping[str, Any]) -> Body:
    missing = {"missing": _MISSING} if params["missingBucket"] else {}
    rank = _build_metric(params["orderAgg"])
    terms = {"field": field, "size": params["size"], "order": {_RANK if rank else "_count": "desc"}, **missing}
    return {"terms": terms, "aggs": {_RANK: rank} if rank else {}}


def _build_metrics(columns: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Body]]:
    percents: dict[str, set[int]] = {}
    requested = set()
    for name, column in columns.items():
        operation = column["operationType"]
        if column["isBucketed"] or operation in _OF_THE_BROWSER:
            continue
        if operation == "percentile":
            percents.setdefault(column["sourceField"], set()).add(column["params"]["percentile"])
            continue
        metric, kql = _build_metric(column), column.get("filter", {}).get("query", "")
        # Kibana requests once what several columns or parts of formulas need (dedupe_aggs.ts of 8.12.2).
        key = operation, column["sourceField"], kql, bool(column["params"].get("emptyAsNull"))
        if key in requested:
            continue
        requested.add(key)
        if kql:
            yield name, {"filter": build_filter(kql), "aggs": {name: metric} if metric else {}}
        elif metric:
            yield name, metric
    for field, of_field in percents.items():
        yield f"percentiles of {field}", {"percentiles": {"field": field, "percents": sorted(of_field)}}


def _build_metric(column: Mapping[str, Any]) -> Body:
    """Return the aggregation; empty for the number of documents, which each group has anyway."""
    operation, field = column["operationType"], column["sourceField"]
    match operation:
        case "count":
            return {} if field == _DOCUMENTS else {"value_count": {"field": field}}
        case "last_value":
            return {"top_hits": {"size": 1, "sort": {"@timestamp": "desc"}, "_source": False, "fields": [field]}}
    if operation not in _METRICS:
        raise OperatorError(f"no request for the operation {operation}")
    return {_METRICS[operation]: {"field": field}}


def build_filter(kql: str) -> Body:
    """Return the filter for *kql*, conditions on a field joined by ``or``: any value, a text, or one of some texts."""
    filters = [_build_condition(each) for each in _OR.split(kql)]
    return filters[0] if len(filters) == 1 else {"bool": {"should": filters}}


def _build_condition(kql: str) -> Body:
    match = _CONDITION.fullmatch(kql)
    if match is None:
        raise OperatorError(f"no request for the filter {kql!r}; expected a field, and a text or *")
    field, values = match.groups()
    return {"exists": {"field": field}} if values == "*" else {"terms": {field: _TEXT.findall(values)}}
