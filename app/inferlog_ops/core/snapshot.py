"""Points in time of an index or a data stream, so that new events change neither pages nor counts."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Self

from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, require_stream, translate_errors
from inferlog_ops.core.streams import build_stream_name

Filter = dict[str, Any]
"""A query in query DSL."""

Hit = dict[str, Any]
"""A document of a response, with ``_id``, ``sort`` and the requested fields."""

_KEEP_ALIVE = "5m"
"""More than the time that a caller needs for one page."""
_TIMEOUT_SECONDS = 120.0
_PAGE = 10_000  # the default limit of an index


class PointInTime:
    """
    An index or a data stream at one point in time.

    Attributes:
        id: Of the last response: each search may change it.
    """

    def __init__(self, client: Elasticsearch, point_id: str) -> None:
        self.id = point_id
        self._client = client

    @classmethod
    def open(cls, client: Elasticsearch, index: str) -> Self:
        """Open a point in time of *index*; to be closed with `close`."""
        return cls(client, client.open_point_in_time(index=index, keep_alive=_KEEP_ALIVE)["id"])

    def close(self) -> None:
        self._client.close_point_in_time(id=self.id)

    def search(self, **body: Any) -> dict[str, Any]:
        """Return the response to *body*; one from only some of the shards would be wrong and is an error."""
        answer = self._client.search(
            pit={"id": self.id, "keep_alive": _KEEP_ALIVE},
            track_total_hits=False,
            allow_partial_search_results=False,
            **body,
        ).body
        self.id = answer["pit_id"]
        return dict(answer)

    def read_pages(self, **body: Any) -> Iterator[list[Hit]]:
        """Yield the hits of *body* in pages of its ``size``, in the order of its ``sort``, which must be unique."""
        after: list[Any] | None = None
        while hits := self.search(search_after=after, **body).get("hits", {}).get("hits", []):
            yield hits
            after = hits[-1]["sort"]


class Snapshot:
    """
    The events of one namespace at a point in time.

    Attributes:
        where: Namespace and cluster, for messages.
    """

    def __init__(self, point: PointInTime, where: str) -> None:
        self.where = where
        self._point = point

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
                point = PointInTime.open(client, stream)
            with closing(point):
                yield cls(point, f"namespace {cluster.namespace!r} of {cluster.shown_url}")

    def aggregate(self, query: Filter, aggregation: dict[str, Any]) -> Any:
        """Return the buckets of *aggregation* over the events that match *query*."""
        return self._point.search(query=query, size=0, aggs={"only": aggregation})["aggregations"]["only"]["buckets"]

    def read_pages(self, query: Filter, fields: Sequence[str]) -> Iterator[list[dict[str, list[Any]]]]:
        """Yield the matches of *query* in pages of up to 10 000 events: for each field its list of values, if any."""
        pages = self._point.read_pages(
            query=query,
            size=_PAGE,
            # Order on disk: the fastest, and the same on every page.
            sort=[{"_shard_doc": "asc"}],
            source=False,
            stored_fields="_none_",
            docvalue_fields=fields,
            filter_path="hits.hits.fields,hits.hits.sort,pit_id",
        )
        for hits in pages:
            yield [hit.get("fields", {}) for hit in hits]
