"""The failure store of a data stream: documents that Elasticsearch accepted but could not index."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, find_reason, require_stream, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.ship.redrive.letter import Letter, parse_failure

_PAGE = 500


@dataclass(frozen=True, slots=True)
class FailureStore:
    """
    The failure store of one stream.

    Nothing is deleted from it: that privilege would permit everything else. The next run finds a resent document in the
    stream by its id, and the retention deletes the failures. A document that is refused again adds another failure, so
    each id is sent once per run, and failures that are newer than the run are skipped.
    """

    cluster: Cluster
    stream: str

    @property
    def name(self) -> str:
        """Name in output."""
        return f"{build_stream_name(self.stream, self.cluster.namespace)}::failures"

    def read_letters(self) -> Iterator[Letter]:
        """
        Yield each failed document once.

        Raises:
            OperatorError: If the cluster does not respond, or the stream has no failure store.
        """
        seen: set[str] = set()
        with self.cluster.build_client() as client, translate_errors(self.cluster, f"reading {self.name}"):
            for failure in self._read_failures(client):
                letter = parse_failure(failure, self.stream)
                if not letter.id or letter.id not in seen:
                    seen.add(letter.id)
                    yield letter

    @contextmanager
    def take(self) -> Iterator["FailureStore"]:
        """Yield the failure store itself."""
        yield self

    def put(self, letter: Letter, *, done: bool) -> None:
        """Keep the failure in the store."""

    def _read_failures(self, client: Elasticsearch) -> Iterator[dict[str, Any]]:
        began = datetime.now(UTC).isoformat()
        after: list[Any] | None = None
        while True:
            try:
                with require_stream(self.cluster, build_stream_name(self.stream, self.cluster.namespace)):
                    page = client.search(
                        index=self.name,
                        query={"range": {"@timestamp": {"lt": began}}},
                        sort=[{"@timestamp": "asc"}, {"document.id": {"order": "asc", "missing": "_last"}}],
                        source_includes=["@timestamp", "document", "error.type", "error.message"],
                        size=_PAGE,
                        search_after=after,
                        # Failures of a shard that does not answer would be left out of a run that reports success.
                        allow_partial_search_results=False,
                    )
            except elasticsearch.BadRequestError as error:
                raise OperatorError(
                    f"{self.cluster.shown_url} has no {self.name} ({find_reason(error)}); "
                    "failure stores need Elasticsearch 8.19 or 9.1"
                ) from error
            hits = page["hits"]["hits"]
            if not hits:
                return
            yield from (hit["_source"] for hit in hits)
            after = hits[-1]["sort"]
