"""A data stream at one point in time, so that new events change neither pages nor counts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, require_stream, translate_errors
from inferlog_ops.core.streams import build_stream_name

Filter = dict[str, Any]
"""A query in query DSL."""

_KEEP_ALIVE = "2m"
_TIMEOUT_SECONDS = 120.0
_PAGE = 10_000  # the default limit of an index


class Snapshot:
    """
    The events of one namespace at a point in time.

    Attributes:
        where: Namespace and cluster, for messages.
    """

    def __init__(self, client: Elasticsearch, point_id: str, where: str) -> None:
        self.where = where
        self._client = client
        self._point_id = point_id

    @classmethod
    @contextmanager
    def open_events(cls, cluster: Cluster) -> Iterator[Self]:
        """
        Open a snapshot for the duration of the block.

        Raises:
            OperatorError: If the stream is missing, or the cluster fails or rejects a request, also in the block.
        """
        stream = build_stream_name("events", cluster.namespace)
        with (
            cluster.build_client(request_timeout_seconds=_TIMEOUT_SECONDS) as client,
            translate_errors(cluster, "reading the events"),
        ):
            with require_stream(cluster, stream):
                point_id = client.open_point_in_time(index=stream, keep_alive=_KEEP_ALIVE)["id"]
            snapshot = cls(client, point_id, f"namespace {cluster.namespace!r} of {cluster.shown_url}")
            try:
                yield snapshot
            finally:
                client.close_point_in_time(id=snapshot._point_id)

    def aggregate(self, query: Filter, aggregation: dict[str, Any]) -> Any:
        """Return the buckets of *aggregation* over the events that match *query*."""
        return self._search(query=query, size=0, aggs={"only": aggregation})["aggregations"]["only"]["buckets"]

    def read_pages(self, query: Filter, fields: Sequence[str]) -> Iterator[list[dict[str, list[Any]]]]:
        """Yield the matches of *query* in pages of up to 10 000 events: for each field its list of values, if any."""
        after: list[Any] | None = None
        while True:
            hits = (
                self._search(
                    query=query,
                    size=_PAGE,
                    # Order on disk: the fastest, and the same on every page.
                    sort=[{"_shard_doc": "asc"}],
                    search_after=after,
                    source=False,
                    stored_fields="_none_",
                    docvalue_fields=fields,
                    filter_path="hits.hits.fields,hits.hits.sort,pit_id",
                )
                .get("hits", {})
                .get("hits", [])
            )
            if not hits:
                return
            yield [hit.get("fields", {}) for hit in hits]
            after = hits[-1]["sort"]

    def _search(self, **body: Any) -> dict[str, Any]:
        answer = self._client.search(
            pit={"id": self._point_id, "keep_alive": _KEEP_ALIVE},
            track_total_hits=False,
            # A figure from only some of the shards is wrong.
            allow_partial_search_results=False,
            **body,
        ).body
        self._point_id = answer["pit_id"]  # it may change with each response
        return dict(answer)
