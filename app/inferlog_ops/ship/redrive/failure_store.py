"""An Elasticsearch data stream's failure store: what the cluster took for it and could not put into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from inferlog_ops.core.cluster import Cluster, reason, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import stream_name
from inferlog_ops.ship.redrive.letter import Letter, failure_letter

_PAGE = 500


@dataclass(frozen=True, slots=True)
class FailureStore:
    """
    The failure store of one stream.

    Nothing is taken out of it: the right to do so is a right to everything. What was sent again is found in the stream
    by its id at the next run, and the store's retention deletes the failures. What is refused again makes another
    failure, so that each id is sent once a run, and nothing that came after the run began.
    """

    cluster: Cluster
    stream: str

    @property
    def name(self) -> str:
        """What it is called in answers."""
        return f"{stream_name(self.stream, self.cluster.namespace)}::failures"

    def letters(self) -> Iterator[Letter]:
        """
        Yield each document that failed, once.

        Raises:
            OperatorError: If the cluster does not answer, or has no failure store for the stream.
        """
        seen: set[str] = set()
        with self.cluster.client() as client, translate_errors(self.cluster, f"reading {self.name}"):
            for failure in self._failures(client):
                letter = failure_letter(failure, self.stream)
                if not letter.id or letter.id not in seen:
                    seen.add(letter.id)
                    yield letter

    @contextmanager
    def taken(self) -> Iterator["FailureStore"]:
        """Give it to the block as it is."""
        yield self

    def settle(self, letter: Letter, *, done: bool) -> None:
        """Leave it where it is."""

    def _failures(self, client: Elasticsearch) -> Iterator[dict[str, Any]]:
        began = datetime.now(UTC).isoformat()
        after: list[Any] | None = None
        while True:
            try:
                page = client.search(
                    index=self.name,
                    query={"range": {"@timestamp": {"lt": began}}},
                    sort=[{"@timestamp": "asc"}, {"document.id": {"order": "asc", "missing": "_last"}}],
                    source_includes=["@timestamp", "document", "error.type", "error.message"],
                    size=_PAGE,
                    search_after=after,
                )
            except (elasticsearch.NotFoundError, elasticsearch.BadRequestError) as error:
                raise OperatorError(
                    f"{self.cluster.shown_url} has no {self.name} ({reason(error)}): is the namespace right, and is "
                    "the stream made by: inferlog provision"
                ) from error
            hits = page["hits"]["hits"]
            if not hits:
                return
            yield from (hit["_source"] for hit in hits)
            after = hits[-1]["sort"]
