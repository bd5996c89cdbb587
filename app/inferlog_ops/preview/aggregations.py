"""
Answers to queries by aggregations instead of their ES|QL, with the operations of Kibana's form-based charts.

ES|QL builds a digest for each percentile; an aggregation builds one for all percentiles of a field. The rows are those
of the query, with one difference, as in Kibana: the busiest model versions are those with the most documents of the
query.
"""

import operator
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.kibana.lens.buckets import Terms, TimeSlices
from inferlog_ops.provision.kibana.lens.expressions import (
    Aggregate,
    Expression,
    FunctionCall,
    Number,
    list_aggregates,
)
from inferlog_ops.provision.kibana.lens.kql import build_filter, list_fields
from inferlog_ops.provision.kibana.lens.sources import EVENTS, SOURCES, Figure, Group
from inferlog_ops.query.esql import OTHER_VERSIONS
from inferlog_ops.query.library import NO_VALUE, Query
from inferlog_ops.query.notes import Note, note_missing_rows, note_other_versions
from inferlog_ops.query.run import RANKED_BY_SHARD, Column, QueryAnswer, aggregate
from inferlog_ops.query.timerange import read_timestamp

Body = dict[str, Any]
Bucket = Mapping[str, Any]

_MOST_GROUPS: Final = 10_000
"""Maximum number of groups other than model versions, as in the last ``LIMIT`` of the queries."""
_COMPRESSION: Final = 1000
"""Precision of percentiles, that of ES|QL: exact up to 20 000 values. With 100, the default, a median is 4 % off."""
_MATH: Final[dict[str, Callable[[float, float], float]]] = {"multiply": operator.mul, "divide": operator.truediv}
_SECONDS: Final = {"s": 1, "h": 3600}
_WIDTHS = re.compile(r"span_seconds <= (\d+), (\d+)")
_LONGEST_WIDTH = re.compile(r"span_seconds <= \d+, \d+, (\d+)\)")
_SORT = re.compile(r"^\| SORT (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatedQuery:
    """
    A query of events as aggregations.

    Attributes:
        query: The query, with the columns to return.
        kql: Filter of its documents.
        field: Field whose values are groups, also the name of their column.
        slices: Name of the column of time slices; None without them.
        figures: Figures of a group by the name of their column, those that sort the rows included.
        sort: Columns that sort the rows, the most important first, each with whether its highest value is first.
    """

    query: Query
    kql: str
    field: str
    slices: str | None
    figures: Mapping[str, Expression]
    sort: tuple[tuple[str, bool], ...]

    def list_fields(self) -> set[str]:
        """Return the fields of the documents that it reads."""
        aggregates = [each for figure in self.figures.values() for each in list_aggregates(figure)]
        filters = [kql for kql in (self.kql, *(each.kql for each in aggregates)) if kql]
        filtered = [field for kql in filters for field in list_fields(kql)]
        return {"@timestamp", self.field, *filtered, *(each.field for each in aggregates if each.field)}


def find_aggregations(query: Query) -> AggregatedQuery | None:
    """
    Return *query* as aggregations; None if that is not possible.

    It is possible for queries of events by the values of one field, in slices of time or not, whose figures are numbers
    of one group.
    """
    source = SOURCES.get(query.name)
    if source is None or source.view != EVENTS:
        return None
    buckets = {name: column.bucket for name, column in source.columns.items() if isinstance(column, Group)}
    slices = [name for name, bucket in buckets.items() if isinstance(bucket, TimeSlices)]
    fields = [name for name, bucket in buckets.items() if isinstance(bucket, Terms) and bucket.complete]
    if len(fields) != 1 or len(buckets) != 1 + len(slices):
        return None
    sort = tuple(_parse_last_sort(query.text))
    shown = dict.fromkeys((*query.columns, *(name for name, _ in sort)))
    columns = {name: source.columns.get(name) for name in shown if name not in buckets}
    figures = {
        name: column.expression for name, column in columns.items() if isinstance(column, Figure) and not column.over
    }
    if len(figures) < len(columns) or not all(map(_is_known, figures.values())):
        return None
    return AggregatedQuery(
        query=query,
        kql=source.kql,
        field=fields[0],
        slices=next(iter(slices), None),
        figures=figures,
        sort=sort,
    )


def run_aggregations(
    cluster: Cluster,
    aggregated: AggregatedQuery,
    start: datetime,
    end: datetime,
    *,
    within: Body | None,
    timeout_seconds: float,
) -> QueryAnswer:
    """
    Return the rows of *aggregated*; arguments and errors as of `run_query` with the default number of model versions.

    One search, or three if some model versions have no row of their own.
    """
    query, request = aggregated.query, _Request(aggregated=aggregated, start=start, end=end)
    of_query = build_filter(aggregated.kql) if aggregated.kql else None
    matching = {"bool": {"filter": [each for each in (within, of_query) if each is not None]}}

    def ask(aggs: Body, fields: Collection[str] = ()) -> Bucket:
        return aggregate(
            cluster, query, aggs, start, end, fields=fields, within=matching, timeout_seconds=timeout_seconds
        )

    answer, about = ask(request.build_aggs(), aggregated.list_fields()), list[Note]()
    if answer["own"]["sum_other_doc_count"] and query.top_versions is None:
        about.append(note_missing_rows(_MOST_GROUPS, _MOST_GROUPS))
    elif answer["own"]["sum_other_doc_count"]:
        # Each shard has reported only its own busiest versions: some of all shards together, and figures, are missing.
        ranked = ask({"ranked": {"terms": {**request.terms, "shard_size": RANKED_BY_SHARD}}})["ranked"]["buckets"]
        own = [bucket["key"] for bucket in ranked if bucket["key"] != OTHER_VERSIONS]
        answer = ask(request.build_aggs_of(own))
        about.append(note_other_versions(len(own), int(answer["others"]["doc_count"])))
    rows = _sort_rows(request.read_rows(answer), aggregated.sort)
    columns = [Column(name=name, type=request.find_type(name)) for name in query.columns]
    shown = [{name: row[name] for name in query.columns} for row in rows]
    return QueryAnswer(columns=columns, rows=shown, notes=tuple(about))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """Aggregations of a query for a range, and the rows of their answer."""

    aggregated: AggregatedQuery
    start: datetime
    end: datetime

    @property
    def terms(self) -> Body:
        """The groups with the most documents."""
        return {"field": self.aggregated.field, "size": self.aggregated.query.top_versions or _MOST_GROUPS}

    def build_aggs(self) -> Body:
        inner, field = self._build_figures(), self.aggregated.field
        return {"own": {"terms": self.terms, **inner}, "none": {"missing": {"field": field}, **inner}}

    def build_aggs_of(self, own: list[str]) -> Body:
        """Return the aggregations with the values *own*, and all others as one group."""
        inner, field = self._build_figures(), self.aggregated.field
        others = {"filter": [{"exists": {"field": field}}], "must_not": [{"terms": {field: own}}]}
        return {
            "own": {"terms": {"field": field, "size": len(own), "include": own}, **inner},
            "none": {"missing": {"field": field}, **inner},
            "others": {"filter": {"bool": others}, **inner},
        }

    def read_rows(self, answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        field = self.aggregated.field
        for bucket in answer["own"]["buckets"]:
            yield from self._read_group(bucket, {field: bucket["key"]})
        named = f'COALESCE({field}, "{NO_VALUE}")' in self.aggregated.query.text
        yield from self._read_group(answer["none"], {field: NO_VALUE if named else None})
        if "others" in answer:
            yield from self._read_group(answer["others"], {field: OTHER_VERSIONS})

    def find_type(self, name: str) -> str:
        """Return the ES|QL type of a column, as far as the page distinguishes it."""
        if name == self.aggregated.slices:
            return "date"
        return "keyword" if name == self.aggregated.field else "double"

    def _build_figures(self) -> Body:
        """Return the ``aggs`` of a group."""
        aggs = dict(_build_metrics(self.aggregated.figures.values()))
        inner = {"aggs": aggs} if aggs else {}
        if self.aggregated.slices is None:
            return inner
        slices = {"field": "@timestamp", "fixed_interval": f"{self._width_seconds}s", "min_doc_count": 1}
        return {"aggs": {"slices": {"date_histogram": {**slices, "format": "strict_date_time"}, **inner}}}

    def _read_group(self, bucket: Bucket, keys: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if self.aggregated.slices is None:
            if bucket["doc_count"]:
                yield keys | self._read_figures(bucket, (self.end - self.start).total_seconds())
            return
        width = timedelta(seconds=self._width_seconds)
        for each in bucket["slices"]["buckets"]:
            begin = read_timestamp(each["key_as_string"])
            seconds = (min(begin + width, self.end) - max(begin, self.start)).total_seconds()
            yield {self.aggregated.slices: each["key_as_string"]} | keys | self._read_figures(each, seconds)

    def _read_figures(self, bucket: Bucket, seconds: float) -> dict[str, float | None]:
        return {name: _evaluate(figure, bucket, seconds) for name, figure in self.aggregated.figures.items()}

    @property
    def _width_seconds(self) -> int:
        """Width of a slice, from the text of the query."""
        span_seconds = (self.end - self.start).total_seconds()
        widths = [(int(limit), int(width)) for limit, width in _WIDTHS.findall(self.aggregated.query.text)]
        (longest,) = _LONGEST_WIDTH.findall(self.aggregated.query.text)
        return next((width for limit, width in widths if span_seconds <= limit), int(longest))


def _parse_last_sort(text: str) -> Iterator[tuple[str, bool]]:
    for each in _SORT.findall(text)[-1].split(", "):
        name, _, direction = each.partition(" ")
        yield name, direction == "DESC"


def _sort_rows(rows: Iterable[dict[str, Any]], sort: Iterable[tuple[str, bool]]) -> list[dict[str, Any]]:
    """Return *rows* sorted as by ES|QL, in which a missing value is the highest."""
    ordered = list(rows)
    for name, highest_first in reversed(list(sort)):
        ordered.sort(key=lambda row: (row[name] is None, row[name]), reverse=highest_first)
    return ordered


def _is_known(expression: Expression) -> bool:
    match expression:
        case Number():
            return True
        case (
            Aggregate(operation="count", field=None)
            | Aggregate(operation="percentile", kql="", per=None)
            | Aggregate(operation="sum", kql="")
        ):
            return True
        case FunctionCall(function=function, arguments=arguments):
            return function in _MATH and len(arguments) == 2 and all(map(_is_known, arguments))
    return False


def _build_metrics(figures: Iterable[Expression]) -> Iterator[tuple[str, Body]]:
    percents: dict[str, set[int]] = {}
    for each in (each for figure in figures for each in list_aggregates(figure)):
        if each.operation == "percentile":
            percents.setdefault(str(each.field), set()).add(each.percentile or 0)
        elif each.operation != "count":
            yield _name_metric(each), {"sum": {"field": each.field}}
        elif each.kql:
            yield _name_metric(each), {"filter": build_filter(each.kql)}
    for field, of_field in percents.items():
        digest = {"tdigest": {"compression": _COMPRESSION}}
        yield f"percentile of {field}", {"percentiles": {"field": field, "percents": sorted(of_field), **digest}}


def _name_metric(figure: Aggregate) -> str:
    return f"{figure.operation} of {figure.kql or figure.field}"


def _evaluate(expression: Expression, bucket: Bucket, seconds: float) -> float | None:
    """Return the figure of *bucket*, which is *seconds* long; None if a part is missing, or for a division by zero."""
    match expression:
        case Number(value=value):
            return value
        case Aggregate(per=per):
            figure = _read_aggregate(expression, bucket)
            return figure if figure is None or per is None else figure / seconds * _SECONDS[per]
        case FunctionCall(function=function, arguments=arguments):
            one, other = (_evaluate(each, bucket, seconds) for each in arguments)
            if one is None or other is None or (function == "divide" and not other):
                return None
            return _MATH[function](one, other)
    raise TypeError(f"not a figure of a group: {expression!r}")


def _read_aggregate(figure: Aggregate, bucket: Bucket) -> float | None:
    if figure.operation == "count":
        return int((bucket[_name_metric(figure)] if figure.kql else bucket)["doc_count"])
    values = bucket[_name_metric(figure)]
    value = values["values"][f"{figure.percentile:.1f}"] if figure.operation == "percentile" else values["value"]
    return None if value is None else float(value)
