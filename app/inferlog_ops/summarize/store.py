"""Summaries in their data stream: read with their versions, and written only if no other run was faster."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from elasticsearch import Elasticsearch

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.timerange import format_iso
from inferlog_ops.summarize.changes import Changes, StoredSummary, drop_copies
from inferlog_ops.summarize.events import parse_nanoseconds
from inferlog_ops.summarize.reading import MOST_ROWS, fetch_esql, read_whole
from inferlog_ops.summarize.summary import KEY_FIELDS, Summary, SummaryInterval, merge_to_hours

_BULK_OPERATIONS: Final = 1_000
_CONFLICT, _NOT_FOUND = 409, 404
_PREVENTED: Final = "prevented"
_RANGE: Final = "| WHERE @timestamp >= ?start AND @timestamp < ?end"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCounts:
    """
    Numbers of written documents.

    Attributes:
        created: New documents.
        replaced: Documents with new content.
        deleted: Removed documents.
        prevented: Changes that another run prevented.
    """

    created: int
    replaced: int
    deleted: int
    prevented: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryStore:
    """
    The summaries in a data stream.

    Attributes:
        client: Client of the cluster.
        stream: Name of the stream.
    """

    client: Elasticsearch
    stream: str

    def find_newest(self, before: datetime) -> datetime | None:
        """Return the start of the newest minute before *before*; None if there is none."""
        answer = self.client.search(
            index=self.stream,
            size=0,
            query=_build_filter(SummaryInterval.MINUTE, {"lt": format_iso(before)}),
            aggs={"newest": {"max": {"field": "@timestamp", "format": "strict_date_time"}}},
            track_total_hits=False,
            allow_partial_search_results=False,
        )
        newest = answer["aggregations"]["newest"].get("value_as_string")
        return datetime.fromisoformat(newest) if newest else None

    def count_from(self, start: datetime) -> int:
        """Return the number of summaries of minutes that start at *start* or later."""
        answer = self.client.search(
            index=self.stream,
            size=0,
            query=_build_filter(SummaryInterval.MINUTE, {"gte": format_iso(start)}),
            track_total_hits=True,
            allow_partial_search_results=False,
        )
        return int(answer["hits"]["total"]["value"])

    def count_by_minute(self, start: datetime, end: datetime) -> dict[datetime, int]:
        """Return the number of summarized requests of each minute in the range that has any."""
        text = (
            f"FROM {self.stream}\n{_RANGE} AND interval_seconds == {SummaryInterval.MINUTE.value}\n"
            "| EVAL start_ns = TO_LONG(@timestamp)\n| STATS requests = SUM(requests) BY start_ns"
        )
        return {
            parse_nanoseconds(row["start_ns"]): row["requests"]
            for row in self._fetch(text, SummaryInterval.MINUTE, start, end)
        }

    def list_doubled(self, interval: SummaryInterval, start: datetime, end: datetime) -> set[datetime]:
        """Return the starts in the range with more than one document of the same combination."""
        text = (
            f"FROM {self.stream}\n{_RANGE} AND interval_seconds == {interval.value}\n"
            f"| EVAL start_ns = TO_LONG(@timestamp)\n| STATS copies = COUNT(*) BY start_ns, {', '.join(KEY_FIELDS)}\n"
            "| WHERE copies > 1\n| STATS combinations = COUNT(*) BY start_ns"
        )
        return {parse_nanoseconds(row["start_ns"]) for row in self._fetch(text, interval, start, end)}

    def list_stale_hours(self, start: datetime, end: datetime) -> list[datetime]:
        """Return the hours that differ from the sum of their minutes; the range begins and ends with a full hour."""
        text = (
            f"FROM {self.stream}\n{_RANGE}\n"
            "| EVAL start_ns = TO_LONG(@timestamp) / 3600000000000 * 3600000000000\n"
            "| STATS\n"
            f"    of_minutes = SUM(requests) WHERE interval_seconds == {SummaryInterval.MINUTE.value},\n"
            f"    of_hour = SUM(requests) WHERE interval_seconds == {SummaryInterval.HOUR.value}\n"
            "  BY start_ns\n"
            "| WHERE COALESCE(of_minutes, 0) != COALESCE(of_hour, 0)"
        )
        return sorted(parse_nanoseconds(row["start_ns"]) for row in self._fetch(text, SummaryInterval.HOUR, start, end))

    def read(self, interval: SummaryInterval, start: datetime, end: datetime) -> list[StoredSummary]:
        """Return the summaries of *interval* in the range."""

        def search(start: datetime, end: datetime) -> list[StoredSummary]:
            answer = self.client.search(
                index=self.stream,
                size=MOST_ROWS,
                query=_build_filter(interval, {"gte": format_iso(start), "lt": format_iso(end)}),
                seq_no_primary_term=True,
                track_total_hits=False,
                allow_partial_search_results=False,
            )
            return [_parse_hit(hit) for hit in answer["hits"]["hits"]]

        return read_whole(search, start, end, interval)

    def merge_hours(self, start: datetime, end: datetime) -> list[Summary]:
        """Return the summaries of the hours in the range, computed from their minutes."""
        minutes, _copies = drop_copies(self.read(SummaryInterval.MINUTE, start, end))
        return merge_to_hours(each.summary for each in minutes)

    def write(self, changes: Changes) -> WriteCounts:
        """
        Make *changes*, visible to searches, except those that another run prevents.

        Raises:
            OperatorError: If the cluster rejects a document.
        """
        operations = list(_list_operations(changes, self.stream))
        done: Counter[str] = Counter()
        for first in range(0, len(operations), _BULK_OPERATIONS):
            done += self._send(operations[first : first + _BULK_OPERATIONS])
        return WriteCounts(
            created=done["create"], replaced=done["index"], deleted=done["delete"], prevented=done[_PREVENTED]
        )

    def _fetch(self, text: str, interval: SummaryInterval, start: datetime, end: datetime) -> list[dict[str, Any]]:
        return read_whole(lambda start, end: fetch_esql(self.client, text, start, end), start, end, interval)

    def _send(self, operations: list[list[dict[str, Any]]]) -> Counter[str]:
        """Return the number of operations by action, and of those that another run prevented."""
        lines = [line for operation in operations for line in operation]
        done: Counter[str] = Counter()
        for item in self.client.bulk(operations=lines, refresh=True)["items"]:
            ((action, result),) = item.items()
            if result["status"] == _CONFLICT or (action, result["status"]) == ("delete", _NOT_FOUND):
                done[_PREVENTED] += 1
            elif result["status"] >= 300:
                raise OperatorError(f"writing summaries to {self.stream}: rejected: {result['error']['reason']}")
            else:
                done[action] += 1
        return done


def _build_filter(interval: SummaryInterval, bounds: dict[str, str]) -> dict[str, Any]:
    """Return the query DSL of the summaries of *interval* that start within *bounds*."""
    return {"bool": {"filter": [{"term": {"interval_seconds": interval.value}}, {"range": {"@timestamp": bounds}}]}}


def _list_operations(changes: Changes, stream: str) -> Iterator[list[dict[str, Any]]]:
    """Yield the lines of a bulk request for each change."""
    for stored in changes.deleted:
        yield [{"delete": _locate(stored)}]
    for stored, summary in changes.replaced:
        yield [{"index": _locate(stored)}, summary.to_document()]
    for summary in changes.created:
        # A stream whose templates are missing would be created with guessed fields.
        yield [{"create": {"_index": stream, "_id": summary.id, "require_data_stream": True}}, summary.to_document()]


def _locate(stored: StoredSummary) -> dict[str, Any]:
    """Return document and version: a data stream takes changes only in the backing index of the document."""
    return {
        "_index": stored.index,
        "_id": stored.document_id,
        "if_seq_no": stored.seq_no,
        "if_primary_term": stored.primary_term,
    }


def _parse_hit(hit: dict[str, Any]) -> StoredSummary:
    try:
        summary = Summary.from_document(hit["_source"])
    except KeyError as field:
        raise OperatorError(f"{hit['_index']}: document {hit['_id']} has no field {field}; delete it") from field
    return StoredSummary(
        summary=summary,
        document_id=hit["_id"],
        index=hit["_index"],
        seq_no=hit["_seq_no"],
        primary_term=hit["_primary_term"],
    )
