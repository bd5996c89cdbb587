"""
Search requests that Kibana makes of a form-based chart, derived from its Lens columns, or of a list of documents.

A benchmark of a dashboard needs the cost of these requests, not of the ES|QL files: Kibana since 8.4 asks for all
percentiles of a field in one aggregation. Covers the operations that our charts use, and raises for any other.
tests/kibana/test_requests_in_browser.py compares them with those of a real Kibana.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from elasticsearch import Elasticsearch

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_alerts_stream_name, build_stream_name
from inferlog_ops.provision.kibana.lens.charts import build_chart
from inferlog_ops.provision.kibana.lens.kql import build_filter
from inferlog_ops.provision.kibana.lens.layers import (
    FormBasedLayer,
    FormBasedLayerBuilder,
    find_filter,
    is_form_based,
)
from inferlog_ops.provision.kibana.lens.panels import find_document_list
from inferlog_ops.provision.kibana.lens.sources import ALERTS, DELIVERY, EVENTS, HEALTH, DocumentList
from inferlog_ops.query.dashboards.panels import Panel

Body = dict[str, Any]
Answer = Mapping[str, Any]

_STREAMS = {EVENTS: ["events"], HEALTH: ["health"], DELIVERY: ["events", "health"]}
_MISSING, _RANK, _DOCUMENTS = "__missing__", "rank", "___records___"
_BARS = 50
"""Number of slices in a range that Kibana aims at by default (histogram:barTarget)."""
_WIDTHS = {
    timedelta(milliseconds=500): "100ms",
    timedelta(seconds=5): "1s",
    timedelta(seconds=7.5): "5s",
    timedelta(seconds=15): "10s",
    timedelta(seconds=45): "30s",
    timedelta(minutes=3): "1m",
    timedelta(minutes=9): "5m",
    timedelta(minutes=20): "10m",
    timedelta(minutes=45): "30m",
    timedelta(hours=2): "1h",
    timedelta(hours=6): "3h",
    timedelta(days=1): "12h",
    timedelta(weeks=1): "1d",
}
"""Widths of a slice, each by the limit below which Kibana rounds to it (calc_auto_interval.ts of 8.12.2)."""
_OF_THE_CALENDAR = {"1m", "1h", "1d"}
_FEW_GROUPS, _GROUPS_OF_A_SHARD = 10, 25
"""Up to so many groups, Kibana requests more of each shard (terms.ts of 8.12.2)."""
_DATES = ("@timestamp", "event.ingested", "event.start")
"""Date fields of events, which Discover requests in its format as well."""
_METRICS = {"sum": "sum", "average": "avg", "min": "min", "max": "max", "unique_count": "cardinality"}
_OF_THE_BROWSER = {"formula", "math", "overall_sum", "overall_min"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KibanaRequest:
    """
    A request of one layer.

    Attributes:
        view: Id of its data view.
        body: Body of ``_search``, as the browser sends it to Kibana.
    """

    view: str
    body: Body

    def list_streams(self, namespace: str) -> list[str]:
        """Return the streams of the data view in *namespace*."""
        if self.view == ALERTS:
            return [build_alerts_stream_name(namespace)]
        return [build_stream_name(kind, namespace) for kind in _STREAMS[self.view]]


def run_requests(
    client: Elasticsearch, namespace: str, panel: Panel, start: datetime, end: datetime
) -> list[tuple[KibanaRequest, Answer]]:
    """
    Send the requests of *panel*, each followed by its request for *Other*, and return them with their answers.

    Raises:
        OperatorError: If a column has an operation or a filter that this module does not know, or if a group within
            another one needs a request for *Other*.
    """
    answered = []
    for first in build_requests(panel, start, end):
        request: KibanaRequest | None = first
        while request is not None:
            answer = client.search(
                index=request.list_streams(namespace),
                **request.body,
                track_total_hits=True,  # added by Kibana's server, so that Elasticsearch counts all documents
                request_cache=False,  # unlike Kibana's: a benchmark measures an answer that is not in the cache
            ).body
            answered.append((request, answer))
            request = build_other_request(request, answer)
    return answered


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


def build_other_request(request: KibanaRequest, answer: Answer) -> KibanaRequest | None:
    """
    Return the request for the group *Other*, if *answer* to *request* left out documents: all but the found groups.

    Raises:
        OperatorError: If a group within another one left out documents.
    """
    aggs = request.body.get("aggs", {})
    incomplete = list(dict.fromkeys(_find_incomplete_terms(aggs, answer.get("aggregations", {}))))
    if not incomplete:
        return None
    if len(incomplete) > 1 or incomplete[0] not in aggs:
        raise OperatorError(f"no request for the group Other of {', '.join(incomplete)} within another group")
    (name,) = incomplete
    field = aggs[name]["terms"]["field"]
    keys = [bucket["key"] for bucket in answer["aggregations"][name]["buckets"]]
    others = _build_bool(
        required=[{"exists": {"field": field}}] if _MISSING in keys else [],
        excluded=[{"match_phrase": {field: key}} for key in keys if key != _MISSING],
    )
    other = _nest({"filters": {"filters": {"": others}}}, aggs[name].get("aggs", {}))
    return replace(request, body={**request.body, "aggs": {"other-filter": other}})


def _find_incomplete_terms(aggs: Body, answer: Answer) -> Iterator[str]:
    """Yield the name of each group in *aggs* that has *Other*, each time that its answer left out documents."""
    for name, agg in aggs.items():
        # Lens adds "missing" only together with Other.
        if "missing" in agg.get("terms", {}) and answer[name]["sum_other_doc_count"]:
            yield name
        buckets = answer[name].get("buckets", [])
        for bucket in buckets.values() if isinstance(buckets, dict) else buckets:
            yield from _find_incomplete_terms(agg.get("aggs", {}), bucket)


def has_own_requests(panel: Panel) -> bool:
    """Return whether Kibana gets *panel* by requests of its own, and not by the query."""
    return panel.type == "vis" and (find_document_list(panel) is not None or is_form_based(panel))


def _build_list_body(listed: DocumentList, start: datetime, end: datetime) -> Body:
    date_format = {"format": "strict_date_optional_time_nanos"}
    of_time = {**date_format, "numeric_type": "date_nanos"} if listed.sort == "@timestamp" else {}
    return {
        "size": listed.most_documents,
        "query": _build_query(listed.kql, start, end),
        "sort": [
            {listed.sort: {"order": "desc", **of_time, "unmapped_type": "boolean"}},
            {"_doc": {"order": "desc", "unmapped_type": "boolean"}},
        ],
        "fields": [
            {"field": "*", "include_unmapped": "true"},
            *({"field": field, **date_format} for field in _DATES),
        ],
        "stored_fields": ["*"],
        "_source": False,
    }


def _build_query(kql: str, start: datetime, end: datetime) -> Body:
    times = {"format": "strict_date_optional_time", "gte": _format_moment(start), "lte": _format_moment(end)}
    in_range = {"range": {"@timestamp": times}}
    return _build_bool(required=[build_filter(kql), in_range] if kql else [in_range])


def _format_moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _build_bool(*, required: list[Body], excluded: list[Body] | None = None) -> Body:
    return {"bool": {"must": [], "filter": required, "should": [], "must_not": excluded or []}}


def _build_body(layer: FormBasedLayer, kql: str, start: datetime, end: datetime) -> Body:
    aggs = dict(_build_metrics(layer.columns))
    groups = [(name, column) for name, column in layer.columns.items() if column["isBucketed"]]
    for name, column in reversed(groups):
        aggs = {name: _nest(_build_group(column, start, end), aggs)}
    return {"size": 0, "query": _build_query(kql, start, end), "aggs": aggs}


def _nest(group: Body, aggs: Body) -> Body:
    """Return *group* with *aggs* after those that it has."""
    inner = {**group.get("aggs", {}), **aggs}
    return {**group, "aggs": inner} if inner else group


def _build_group(column: Mapping[str, Any], start: datetime, end: datetime) -> Body:
    params = column["params"]
    match column["operationType"]:
        case "terms":
            return _build_terms(column["sourceField"], params)
        case "date_histogram":
            return _build_slices(start, end)
        case "range":
            ranges = [{end: each[end] for end in ("from", "to") if each[end] is not None} for each in params["ranges"]]
            return {"range": {"field": column["sourceField"], "ranges": ranges, "keyed": True}}
        case "filters":
            filters = {
                each["label"]: _build_bool(required=[build_filter(each["input"]["query"])])
                for each in params["filters"]
            }
            return {"filters": {"filters": filters}}
    raise OperatorError(f"no request for groups of the operation {column['operationType']}")


def _build_slices(start: datetime, end: datetime) -> Body:
    width = next((width for below, width in _WIDTHS.items() if (end - start) / _BARS < below), None)
    if width is None:
        raise OperatorError(f"no request for slices of {end - start}; expected less than {max(_WIDTHS) * _BARS}")
    kind = "calendar_interval" if width in _OF_THE_CALENDAR else "fixed_interval"
    bounds = {"min": _count_milliseconds(start), "max": _count_milliseconds(end)}
    return {"date_histogram": {"field": "@timestamp", kind: width, "extended_bounds": bounds}}


def _count_milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _build_terms(field: str, params: Mapping[str, Any]) -> Body:
    missing = {"missing": _MISSING} if params["missingBucket"] else {}
    rank = _build_metric(params["orderAgg"])
    of_shard = {"shard_size": _GROUPS_OF_A_SHARD} if params["size"] <= _FEW_GROUPS else {}
    order = {_RANK if rank else "_count": "desc"}
    terms = {"field": field, "size": params["size"], **of_shard, "order": order, **missing}
    return _nest({"terms": terms}, {_RANK: rank} if rank else {})


def _build_metrics(columns: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Body]]:
    percents: dict[str, list[int]] = {}
    requested = set()
    for name, column in columns.items():
        operation = column["operationType"]
        if column["isBucketed"] or operation in _OF_THE_BROWSER:
            continue
        if operation == "percentile":
            of_field = percents.setdefault(column["sourceField"], [])
            if column["params"]["percentile"] not in of_field:
                of_field.append(column["params"]["percentile"])
            continue
        metric, kql = _build_metric(column), column.get("filter", {}).get("query", "")
        # Kibana requests once what several columns or parts of formulas need (dedupe_aggs.ts of 8.12.2).
        key = operation, column["sourceField"], kql, bool(column["params"].get("emptyAsNull"))
        if key in requested:
            continue
        requested.add(key)
        if kql:
            yield name, _nest({"filter": _build_bool(required=[build_filter(kql)])}, {name: metric} if metric else {})
        elif metric:
            yield name, metric
    for field, of_field in percents.items():
        several = {"keyed": False} if len(of_field) > 1 else {}
        yield f"percentiles of {field}", {"percentiles": {"field": field, "percents": of_field, **several}}


def _build_metric(column: Mapping[str, Any]) -> Body:
    """Return the aggregation; empty for the number of documents, which each group has anyway."""
    operation, field = column["operationType"], column["sourceField"]
    match operation:
        case "count":
            return {} if field == _DOCUMENTS else {"value_count": {"field": field}}
        case "last_value":
            newest = [{"@timestamp": {"order": "desc"}}]
            return {"top_hits": {"size": 1, "sort": newest, "_source": False, "fields": [{"field": field}]}}
    if operation not in _METRICS:
        raise OperatorError(f"no request for the operation {operation}")
    return {_METRICS[operation]: {"field": field}}
