"""Execution of a saved query on a cluster, for a time range."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, find_reason, is_unprovisioned, make_unprovisioned_error, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_stream_name, build_summaries_stream_name
from inferlog_ops.query import notes
from inferlog_ops.query.esql import (
    Limit,
    drop_failure_stores,
    find_answer_limit,
    find_failure_stores,
    find_read_limits,
    group_other_versions,
)
from inferlog_ops.query.library import NO_VALUE, Query, fill_namespace, list_streams
from inferlog_ops.query.notes import Note
from inferlog_ops.query.timerange import format_iso

_TIMEOUT_SECONDS = 120.0
_TOO_LARGE = "circuit_breaking_exception"
_READS_FAILURES = "read_failure_store"
_CLOCKS_DIFFER_BY = timedelta(seconds=1)
"""Synchronized clocks differ by less; a new event is therefore not counted as a future event."""

RANKED_BY_SHARD = 10_000
"""Number of model versions that each shard ranks; with fewer, the busiest of all shards together may be missing."""

FIRST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
LAST_TIME = datetime(2262, 1, 1, tzinfo=UTC)
"""Bounds of the years that Elasticsearch can index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its name and ES|QL type, such as ``long``, ``double`` or ``date``."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnswer:
    """
    Columns, rows and notes of an executed query.

    Attributes:
        columns: In the order of the query; present even without rows.
        rows: One mapping per row, column name to value; times are ISO 8601 in UTC.
        notes: Notes on missing rows, on grouped model versions and on unread failure stores.
    """

    columns: list[Column]
    rows: list[dict[str, Any]]
    notes: tuple[Note, ...] = ()


def fetch_rows(
    cluster: Cluster,
    query: Query,
    start: datetime,
    end: datetime,
    model_version: str | None = None,
    *,
    within: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """
    Return all rows of *query*, with rows for every model version; arguments as in `run_query`.

    Raises:
        OperatorError: As in `run_query`, and if rows are missing.
    """
    answer = run_query(cluster, query, start, end, model_version, within=within)
    if notes.is_incomplete(answer.notes):
        raise OperatorError(f"{query.name}: {' '.join(note.text for note in answer.notes)}")
    return answer.rows


def run_query(
    cluster: Cluster,
    query: Query,
    start: datetime,
    end: datetime,
    model_version: str | None = None,
    *,
    within: dict[str, Any] | None = None,
    top_versions: int | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> QueryAnswer:
    """
    Run *query* on the events with *start* <= ``@timestamp`` < *end*.

    Args:
        cluster: Cluster to query; its namespace replaces the ``*`` in the stream names.
        query: Saved query.
        start: Start of the range, with a time zone.
        end: End of the range, exclusive, with a time zone.
        model_version: Only events of this version; ``(none)`` for events without one.
        within: Query DSL filter of the events.
        top_versions: Number of model versions with rows of their own, by request count; all others are grouped as
            ``(other)``, computed from their events. None: no grouping.
        timeout_seconds: Timeout of each of up to five requests.

    Raises:
        OperatorError: If the range is empty, the query has no rows per version, or the cluster rejects the query.
    """
    check_range(start, end)
    if model_version is not None and not query.takes_model_version:
        raise OperatorError(
            f"{query.name} does not support --model-version; run it without this option",
            exit_code=2,
        )
    if top_versions is not None and query.top_versions is None:
        raise OperatorError(f"{query.name} has no rows per model version; run it without --top", exit_code=2)
    filter_ = _combine_filters(None if model_version is None else build_version_filter(model_version), within)
    with _connect(cluster, query, timeout_seconds) as client:
        execution = _Execution(client=client, cluster=cluster, query=query, start=start, end=end, filter=filter_)
        return execution.run(None if model_version is not None else top_versions)


def aggregate(
    cluster: Cluster,
    query: Query,
    aggregations: dict[str, Any],
    start: datetime,
    end: datetime,
    *,
    fields: Collection[str] = (),
    within: dict[str, Any] | None = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> dict[str, Any]:
    """
    Return the answer to *aggregations* over the documents that *query* reads; other arguments as in `run_query`.

    Raises:
        OperatorError: If the range is empty, one of *fields* has no mapping, or the cluster rejects the request.
    """
    check_range(start, end)
    with _connect(cluster, query, timeout_seconds) as client:
        execution = _Execution(client=client, cluster=cluster, query=query, start=start, end=end, filter=within)
        streams = list_streams(query, cluster.namespace)
        if fields:
            execution.require_fields(streams, fields)
        return dict(execution.aggregate(streams, aggregations))


@contextmanager
def _connect(cluster: Cluster, query: Query, timeout_seconds: float) -> Iterator[Elasticsearch]:
    with (
        cluster.build_client(request_timeout_seconds=timeout_seconds) as client,
        translate_errors(cluster, f"running {query.name}"),
    ):
        yield client


def find_future_events(
    cluster: Cluster, streams: Sequence[str], end: datetime, model_version: str | None = None
) -> Note | None:
    """
    Return a note on the events of *streams* later than *end*, which is now; None if there are none.

    Raises:
        OperatorError: If the cluster does not answer.
    """
    later = {"range": {"@timestamp": {"gte": format_iso(end + _CLOCKS_DIFFER_BY)}}}
    with cluster.build_client() as client, translate_errors(cluster, "looking for events later than now"):
        answer = client.search(
            index=streams,
            query=_combine_filters(later, None if model_version is None else build_version_filter(model_version)),
            size=0,
            track_total_hits=True,
            aggs={"latest": {"max": {"field": "@timestamp", "format": "strict_date_time"}}},
            ignore_unavailable=True,
            allow_partial_search_results=False,
        )
    count = int(answer["hits"]["total"]["value"])
    if not count:
        return None
    return notes.note_future_events(
        count, datetime.fromisoformat(answer["aggregations"]["latest"]["value_as_string"]), end
    )


def check_range(start: datetime, end: datetime) -> None:
    """
    Reject an empty range, and one outside Elasticsearch's dates.

    Raises:
        OperatorError: If *end* is not after *start*, or outside the years that Elasticsearch can index.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("start and end need a time zone")
    if start >= end:
        raise OperatorError(
            f"the range from {format_iso(start)} to {format_iso(end)} is empty; its end must be after its start",
            exit_code=2,
        )
    if start < FIRST_TIME or end > LAST_TIME:
        raise OperatorError(
            f"the range from {format_iso(start)} to {format_iso(end)} is not within {FIRST_TIME.year} and "
            f"{LAST_TIME.year}, the years that Elasticsearch can index",
            exit_code=2,
        )


def build_version_filter(model_version: str) -> dict[str, Any]:
    """Return the query DSL filter of the events of *model_version*, or of ``(none)``."""
    if model_version == NO_VALUE:
        return {"bool": {"must_not": {"exists": {"field": "model_version"}}}}
    return {"term": {"model_version": model_version}}


def _combine_filters(one: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any] | None:
    filters = [each for each in (one, other) if each is not None]
    return {"bool": {"filter": filters}} if filters else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Execution:
    """A query with its range, and the searches that make up its answer."""

    client: Elasticsearch
    cluster: Cluster
    query: Query
    start: datetime
    end: datetime
    filter: dict[str, Any] | None

    def run(self, top_versions: int | None) -> QueryAnswer:
        text, parameters, about = fill_namespace(self.query, self.cluster.namespace), self._range, list[Note]()
        if top_versions is not None:
            own, requests_of_others = self._find_top_versions(top_versions)
            if requests_of_others:
                text, of_versions = group_other_versions(text, own)
                parameters = [*parameters, *of_versions]
                about.append(notes.note_other_versions(top_versions, requests_of_others))
        stores = find_failure_stores(text)
        if stores and not self._may_read_failures(stores):
            text = drop_failure_stores(text)
            about.append(notes.note_unread_failure_stores(self.cluster.shown_url))
        found = self._execute(text, parameters)
        columns = [Column(name=column["name"], type=column["type"]) for column in found["columns"]]
        names = [column.name for column in columns]
        rows = [dict(zip(names, values, strict=True)) for values in found["values"]]
        return QueryAnswer(columns=columns, rows=rows, notes=(*about, *self._check_limits(text, parameters, len(rows))))

    @property
    def _range(self) -> list[dict[str, str]]:
        return [{"_tstart": format_iso(self.start)}, {"_tend": format_iso(self.end)}]

    def _check_limits(self, text: str, parameters: list[dict[str, str]], shown: int) -> list[Note]:
        """Return notes on limits that cut off rows; a limit named in the question itself is part of the query."""
        about = []
        for limit in find_read_limits(text) if shown else []:
            counted = self._count_rows(limit, parameters)
            if counted > limit.rows:
                about.append(notes.note_unread_rows(limit.rows, counted))
        last = find_answer_limit(text)
        if last and shown >= last.rows and not re.search(rf"\b{last.rows}\b", self.query.question):
            counted = self._count_rows(last, parameters)
            if counted > shown:
                about.append(notes.note_missing_rows(shown, counted))
        return about

    def _count_rows(self, limit: Limit, parameters: list[dict[str, str]]) -> int:
        ((counted,),) = self._execute(limit.counting, parameters)["values"]
        return int(counted)

    def _find_top_versions(self, most: int) -> tuple[list[str], int]:
        """Return the *most* model versions with the most requests, and the number of requests of all others."""
        summaries = build_summaries_stream_name(self.cluster.namespace)
        if summaries in list_streams(self.query, self.cluster.namespace):
            return self._find_top_summarized_versions(summaries, most)
        values = self.aggregate(
            build_stream_name("events", self.cluster.namespace),
            {"values": {"terms": {"field": "model_version", "size": most, "shard_size": RANKED_BY_SHARD}}},
        )["values"]
        return [bucket["key"] for bucket in values["buckets"]], int(values["sum_other_doc_count"])

    def _find_top_summarized_versions(self, stream: str, most: int) -> tuple[list[str], int]:
        """Return the same from the summaries of minutes in *stream*: a document counts many requests."""
        requests = {"requests": {"sum": {"field": "requests"}}}
        order = {"requests": "desc"}
        terms = {"field": "model_version", "size": most, "shard_size": RANKED_BY_SHARD, "order": order}
        of_minutes = {
            "filter": {
                "bool": {"filter": [{"term": {"interval_seconds": 60}}, {"exists": {"field": "model_version"}}]}
            },
            "aggs": {"values": {"terms": terms, "aggs": requests}, **requests},
        }
        found = self.aggregate(stream, {"of_minutes": of_minutes})["of_minutes"]
        own = found["values"]["buckets"]
        others = found["requests"]["value"] - sum(bucket["requests"]["value"] for bucket in own)
        return [bucket["key"] for bucket in own], int(others)

    def aggregate(self, index: str | Sequence[str], aggregations: dict[str, Any]) -> Any:
        in_range = {"range": {"@timestamp": {"gte": format_iso(self.start), "lt": format_iso(self.end)}}}
        with self._translate_errors():
            return self.client.search(
                index=index,
                query=_combine_filters(in_range, self.filter),
                size=0,
                track_total_hits=False,
                aggs=aggregations,
                allow_partial_search_results=False,
            )["aggregations"]

    def require_fields(self, streams: list[str], fields: Collection[str]) -> None:
        """Reject *fields* without a mapping, as ES|QL does; for an aggregation they are fields without values."""
        with self._translate_errors():
            mapped = self.client.field_caps(index=streams, fields=list(fields))["fields"]
        if not set(fields) <= mapped.keys():
            raise self._make_unprovisioned_error()

    def _may_read_failures(self, streams: list[str]) -> bool:
        """Return whether the reader has the privilege that the failure stores of *streams* need, as far as is known."""
        needed = {"names": streams, "privileges": [_READS_FAILURES]}
        try:
            return bool(self.client.security.has_privileges(index=[needed])["has_all_requested"])
        except elasticsearch.BadRequestError:
            return True  # without security all may read; a version without this privilege rejects the query itself

    def _execute(self, text: str, parameters: list[dict[str, str]]) -> Any:
        with self._translate_errors():
            return self.client.esql.query(
                query=text,
                params=parameters,
                # Separate from the text, as in Kibana's controls: values are never inserted into ES|QL.
                filter=self.filter,
                # Figures from some of the shards are wrong, and 9.x returns them without an error.
                allow_partial_results=False,
            )

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Translate errors that are about this query: it lacks streams or fields, or exceeds the memory."""
        try:
            yield
        except elasticsearch.ApiError as error:
            if is_unprovisioned(error):
                raise self._make_unprovisioned_error() from error
            if (why := find_reason(error)).startswith(_TOO_LARGE):
                raise OperatorError(
                    f"{self.query.name} from {format_iso(self.start)} to {format_iso(self.end)} exceeds "
                    f"the memory limit of {self.cluster.shown_url} ({why}); "
                    "choose a shorter range, or increase the heap of Elasticsearch"
                ) from error
            raise

    def _make_unprovisioned_error(self) -> OperatorError:
        return make_unprovisioned_error(self.cluster, f"the streams or fields of {self.query.name}", "them")
