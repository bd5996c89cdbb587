"""Trace of one correlation id: its events and log lines, and the tree of spans with the time spent in each service."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from elasticsearch import Elasticsearch

from inferlog.event import MEASURE_LIMIT
from inferlog_ops.core.cluster import Cluster, require_stream, translate_errors
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.query.timerange import read_timestamp

# Clocks of several machines differ, and a busy service records times late: a call may appear to start before its
# caller, or to end after it.
_CLOCK_SKEW = timedelta(milliseconds=20)
_LATE_SHARE = 0.1


@dataclass(slots=True, kw_only=True)
class Span:
    """
    One service's part of a request.

    Attributes:
        event: The event, as indexed.
        began: Time of the first byte in.
        ended: Time of the last byte out.
        calls: Child spans.
    """

    event: dict[str, Any]
    began: datetime
    ended: datetime
    calls: list["Span"] = field(default_factory=list)

    @property
    def latency_seconds(self) -> float:
        """From first byte in to last byte out."""
        return (self.ended - self.began).total_seconds()

    @property
    def own_seconds(self) -> float:
        """Latency not covered by child spans; parallel calls count once."""
        covered, until = timedelta(), self.began
        for call in sorted(self.calls, key=lambda call: call.began):
            begin, end = max(call.began, until), min(call.ended, self.ended)
            if end > begin:
                covered += end - begin
                until = end
        return max(0.0, (self.ended - self.began - covered).total_seconds())

    def walk(self, depth: int = 0) -> Iterable[tuple[int, "Span"]]:
        """Yield this span and its descendants, each with its depth."""
        yield depth, self
        for call in self.calls:
            yield from call.walk(depth + 1)


def build_tree(events: Sequence[dict[str, Any]]) -> list[Span]:
    """
    Return the root spans of *events*, by time, with their descendants.

    Events do not name their caller: the parent of a span is the shortest span that covers it.
    """
    # Longest first: a parent comes before its children.
    spans = sorted((_make_span(event) for event in events), key=lambda span: (-span.latency_seconds, span.began))
    outermost: list[Span] = []
    for index, span in enumerate(spans):
        spanning = [other for other in spans[:index] if _contains(other, span)]
        (spanning[-1].calls if spanning else outermost).append(span)
    for span in spans:
        span.calls.sort(key=lambda call: call.began)
    return sorted(outermost, key=lambda span: span.began)


def _make_span(event: dict[str, Any]) -> Span:
    ended = read_timestamp(event["@timestamp"])
    # Other writers have no limit.
    latency_seconds = max(0.0, min(float(read_value(event, "latency_seconds") or 0.0), MEASURE_LIMIT))
    return Span(event=event, began=ended - timedelta(seconds=latency_seconds), ended=ended)


def read_value(document: dict[str, Any], path: str) -> Any:
    """
    Return the value of the field *path*, such as ``service.name``; None if it is missing.

    Other writers may leave out any field, write it with dots or as an array, of which the first value counts.
    """
    if path in document:
        return _take_first(document[path])
    value: Any = document
    for part in path.split("."):
        value = _take_first(value)
        value = value.get(part) if isinstance(value, dict) else None
    return _take_first(value)


def read_text(document: dict[str, Any], path: str) -> str | None:
    """Return the same as text; None if it is missing."""
    value = read_value(document, path)
    return None if value is None else str(value)


def _take_first(value: Any) -> Any:
    while isinstance(value, list):
        value = value[0] if value else None
    return value


def _contains(outer: Span, inner: Span) -> bool:
    tolerance = max(_CLOCK_SKEW, (outer.ended - outer.began) * _LATE_SHARE)
    return outer.began - tolerance <= inner.began and inner.ended <= outer.ended + tolerance


_MAX_DOCUMENTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDocuments:
    """
    Documents of one correlation id in one stream.

    Attributes:
        documents: The earliest documents, by time; at most 1 000.
        missing: Number of further documents in the stream.
    """

    documents: list[dict[str, Any]]
    missing: int


def find_documents(client: Elasticsearch, cluster: Cluster, stream: str, correlation_id: str) -> FoundDocuments:
    """
    Return the documents of *correlation_id* in *stream*: "events", or "app" for log lines.

    Raises:
        OperatorError: If the stream is missing, or the cluster fails or rejects the search.
    """
    name = build_stream_name(stream, cluster.namespace)
    with translate_errors(cluster, f"looking for {correlation_id}"), require_stream(cluster, name):
        answer = client.search(
            index=name,
            query={"term": {"correlation_id": correlation_id}},
            sort=[{"@timestamp": "asc"}],
            size=_MAX_DOCUMENTS,
            track_total_hits=True,
            # The documents of a shard that does not answer are not in the total either.
            allow_partial_search_results=False,
        )
    documents = [hit["_source"] for hit in answer["hits"]["hits"]]
    return FoundDocuments(documents=documents, missing=int(answer["hits"]["total"]["value"]) - len(documents))
