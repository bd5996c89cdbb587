"""Events to summarize, and the figures of their summaries."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query import library
from inferlog_ops.query.run import fetch_rows
from inferlog_ops.summarize.job import SummarizeResult, SummarizeSettings, check, summarize
from tests.golden.reading import Document, format_iso
from tests.support.indexing import index

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

_IDS = count()


def build_event(
    at: datetime, latency_seconds: float | None = 0.25, version: str | None = "v1", **fields: Any
) -> Document:
    """Return an event that ended at *at*; a missing latency or version stays missing."""
    document: Document = {
        "@timestamp": format_iso(at),
        "event": {"id": f"{next(_IDS):032x}", "dataset": "inference.events"},
        "service": {"name": "scoring"},
        "status": "success",
        **fields,
    }
    if latency_seconds is not None:
        document["latency_seconds"] = latency_seconds
    if version is not None:
        document["model_version"] = version
    return document


def arrive(cluster: Cluster, documents: Iterable[Document], at: datetime) -> None:
    """Index *documents* as events that arrived at *at*."""
    index(cluster, "events", [{**each, "event": {**each["event"], "ingested": format_iso(at)}} for each in documents])


def run(cluster: Cluster, now: datetime, **settings: Any) -> SummarizeResult:
    """Run the job at *now*."""
    return summarize(cluster, SummarizeSettings(**settings), now)


def count_requests(cluster: Cluster, start: datetime, end: datetime) -> int:
    """Return the requests in the summaries of the range."""
    rows = fetch_rows(cluster, library.find("long_range_traffic"), start, end)
    return sum(row["requests"] for row in rows)


def list_differences(cluster: Cluster, start: datetime, end: datetime) -> list[datetime]:
    """Return the minutes and hours of the range whose summaries differ from the events."""
    return [each.start for each in check(cluster, SummarizeSettings(start=start, end=end), end)[1]]


def list_documents(cluster: Cluster) -> list[dict[str, Any]]:
    """Return all summaries as hits of a search."""
    with cluster.build_client() as client:
        name = f"inferlog-summaries-{cluster.namespace}"
        client.indices.refresh(index=name)
        hits: list[dict[str, Any]] = client.search(index=name, size=10_000, version=True)["hits"]["hits"]
    return hits


def copy_summaries(source: Cluster, target: Cluster) -> None:
    """Copy all summaries, without their events."""
    operations: list[dict[str, Any]] = []
    for hit in list_documents(source):
        operations += [{"create": {"_id": hit["_id"]}}, hit["_source"]]
    with target.build_client() as client:
        answer = client.bulk(index=f"inferlog-summaries-{target.namespace}", operations=operations, refresh=True)
    assert not answer["errors"]
