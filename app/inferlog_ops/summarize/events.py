"""Events of one namespace: counts per minute, late ones, and their summaries."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from elasticsearch import Elasticsearch

from inferlog.event import COUNT_MAX
from inferlog_ops.query.run import FIRST_TIME
from inferlog_ops.query.timerange import format_iso
from inferlog_ops.summarize.buckets import COUNT_UNIT, ESQL_BUCKET
from inferlog_ops.summarize.reading import MOST_ROWS, fetch_esql, read_whole
from inferlog_ops.summarize.summary import KEY_FIELDS, MICRO, NANO, Summary, SummaryInterval

_CLOCKS_DIFFER_BY: Final = timedelta(hours=1)
_GENERATION: Final = re.compile(r"\.ds-.+-(\d{6,})")

_RANGE: Final = "| WHERE @timestamp >= ?start AND @timestamp < ?end"
_MINUTE: Final = "| EVAL minute_ns = TO_LONG(@timestamp) / 60000000000 * 60000000000"
_KEY: Final = f"minute_ns, {', '.join(KEY_FIELDS)}"

MOST_TOKENS: Final = COUNT_MAX
MOST_SECONDS: Final = 10_000_000
MOST_USD: Final = 10_000
"""Largest values of an event in a sum: 900 000 of them in a minute fit in 63 bits. Other writers have no limit."""

_MOST: Final = {
    "latency_seconds": MOST_SECONDS,
    "cost_usd": MOST_USD,
    "gen_ai.usage.input_tokens": MOST_TOKENS,
    "gen_ai.usage.output_tokens": MOST_TOKENS,
}
_FITS: Final = {field: f"{field} >= -{most} AND {field} <= {most}" for field, most in _MOST.items()}
_ALL_FIT: Final = "| EVAL left_out = 0"
_LEAVE_OUT: Final = f"""| EVAL left_out = CASE(
    {" AND ".join(f"COALESCE({fits}, true)" for fits in _FITS.values())}, 0, 1)
| EVAL {", ".join(f"{field} = CASE({fits}, {field})" for field, fits in _FITS.items())}"""
_SUMMARIES: Final = f"""| EVAL bucket = {ESQL_BUCKET}
| STATS
    requests = COUNT(*),
    requests_with_latency = COUNT(latency_seconds),
    latency_microseconds = SUM(TO_LONG(ROUND(latency_seconds * {MICRO}))),
    input_tokens = SUM(gen_ai.usage.input_tokens),
    output_tokens = SUM(gen_ai.usage.output_tokens),
    requests_with_cost = COUNT(cost_usd),
    cost_nano_usd = SUM(TO_LONG(ROUND(cost_usd * {NANO}))),
    left_out = SUM(left_out)
  BY {_KEY}, bucket
| EVAL encoded = bucket * {COUNT_UNIT} + requests
| STATS
    requests = SUM(requests),
    requests_with_latency = SUM(requests_with_latency),
    latency_microseconds = SUM(latency_microseconds),
    latency_buckets = VALUES(encoded),
    input_tokens = SUM(input_tokens),
    output_tokens = SUM(output_tokens),
    requests_with_cost = SUM(requests_with_cost),
    cost_nano_usd = SUM(cost_nano_usd),
    left_out = SUM(left_out)
  BY {_KEY}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OldestIndex:
    """
    The oldest remaining backing index of the events.

    Attributes:
        name: Its name, which no later index has again.
        whole_from: Time from which no event was deleted with an older index.
    """

    name: str
    whole_from: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """
    The events in a data stream.

    Attributes:
        client: Client of the cluster.
        stream: Name of the stream.
    """

    client: Elasticsearch
    stream: str

    def find_oldest_index(self) -> OldestIndex:
        """
        Return the oldest remaining backing index.

        Events are in the index that was the newest when they arrived. So an event later than the creation of the
        oldest remaining index is still there, unless its host's clock was ahead by more than an hour.
        """
        settings = self.client.indices.get_settings(index=self.stream, name="index.creation_date").body
        created = {
            index: datetime.fromtimestamp(int(body["settings"]["index"]["creation_date"]) / 1000, UTC)
            for index, body in settings.items()
        }
        for index in created:
            if (match := _GENERATION.fullmatch(index)) and int(match[1]) == 1:
                return OldestIndex(name=index, whole_from=FIRST_TIME)
        name = min(created, key=lambda index: (created[index], index))
        return OldestIndex(name=name, whole_from=SummaryInterval.MINUTE.ceil(created[name] + _CLOCKS_DIFFER_BY))

    def find_first(self, start: datetime, end: datetime) -> datetime | None:
        """Return the minute of the first event in the range; None if there is none."""
        answer = self.client.search(
            index=self.stream,
            size=0,
            query=_build_range(start, end),
            aggs={"first": {"min": {"field": "@timestamp", "format": "strict_date_time"}}},
            track_total_hits=False,
            allow_partial_search_results=False,
        )
        first = answer["aggregations"]["first"].get("value_as_string")
        return SummaryInterval.MINUTE.floor(datetime.fromisoformat(first)) if first else None

    def count_by_minute(self, start: datetime, end: datetime) -> dict[datetime, int]:
        """Return the number of events of each minute in the range that has any."""

        def read(start: datetime, end: datetime) -> list[dict[str, Any]]:
            text = f"FROM {self.stream}\n{_RANGE}\n{_MINUTE}\n| STATS requests = COUNT(*) BY minute_ns"
            return fetch_esql(self.client, text, start, end)

        rows = read_whole(read, start, end, SummaryInterval.MINUTE)
        return {parse_nanoseconds(row["minute_ns"]): row["requests"] for row in rows}

    def list_late_minutes(self, before: datetime, *, arrived_since: datetime) -> list[datetime]:
        """
        Return the minutes before *before* with events that arrived at *arrived_since* or later, in ascending order.

        An event without ``event.ingested``, as Fluentd writes it into the embedded engine, is not found.
        """
        minutes: list[datetime] = []
        start = FIRST_TIME
        while True:
            text = (
                f'FROM {self.stream}\n{_RANGE} AND event.ingested >= "{format_iso(arrived_since)}"\n{_MINUTE}\n'
                "| STATS events = COUNT(*) BY minute_ns\n| SORT minute_ns"
            )
            rows = fetch_esql(self.client, text, start, before)
            minutes += [parse_nanoseconds(row["minute_ns"]) for row in rows]
            if len(rows) < MOST_ROWS:
                return minutes
            start = minutes[-1] + SummaryInterval.MINUTE.duration

    def summarize(self, start: datetime, end: datetime) -> list[Summary]:
        """Return the summaries of the minutes in the range."""

        def read(start: datetime, end: datetime) -> list[dict[str, Any]]:
            # Two thirds more processor time, so only where it is needed.
            fitting = _LEAVE_OUT if self._has_too_large_values(start, end) else _ALL_FIT
            single = "".join(f"| EVAL {field} = MV_MIN({field})\n" for field in self._find_arrays(start, end))
            text = f"FROM {self.stream}\n{_RANGE}\n{_MINUTE}\n{single}{fitting}\n{_SUMMARIES}"
            return fetch_esql(self.client, text, start, end)

        return [_parse_row(row) for row in read_whole(read, start, end, SummaryInterval.MINUTE)]

    def _has_too_large_values(self, start: datetime, end: datetime) -> bool:
        too_large = [
            {"range": {field: bounds}} for field, most in _MOST.items() for bounds in ({"gt": most}, {"lt": -most})
        ]
        answer = self.client.search(
            index=self.stream,
            size=0,
            query={"bool": {"filter": [_build_range(start, end)], "should": too_large, "minimum_should_match": 1}},
            track_total_hits=1,
            allow_partial_search_results=False,
        )
        return bool(answer["hits"]["total"]["value"])

    def _find_arrays(self, start: datetime, end: datetime) -> list[str]:
        """
        Return the fields with an array in any event of the range: ES|QL would count it once for each value of a key.

        A fiftieth of the time of a summary, which the smallest values of all fields would double.
        """
        fields = [*KEY_FIELDS, *_MOST]
        counts: dict[str, Any] = {f"values of {field}": {"value_count": {"field": field}} for field in fields}
        counts |= {f"events with {field}": {"filter": {"exists": {"field": field}}} for field in fields}
        found = self.client.search(
            index=self.stream,
            size=0,
            query=_build_range(start, end),
            aggs=counts,
            track_total_hits=False,
            allow_partial_search_results=False,
        )["aggregations"]
        return [
            field
            for field in fields
            if found[f"values of {field}"]["value"] > found[f"events with {field}"]["doc_count"]
        ]


def _build_range(start: datetime, end: datetime) -> dict[str, Any]:
    return {"range": {"@timestamp": {"gte": format_iso(start), "lt": format_iso(end)}}}


def parse_nanoseconds(nanoseconds: int) -> datetime:
    """Return the time *nanoseconds* after 1970."""
    return datetime.fromtimestamp(nanoseconds // NANO, UTC)


def _parse_row(row: dict[str, Any]) -> Summary:
    buckets = row["latency_buckets"]
    if buckets is None:
        buckets = []
    return Summary(
        interval=SummaryInterval.MINUTE,
        start=parse_nanoseconds(row["minute_ns"]),
        key=tuple(row[field] for field in KEY_FIELDS),
        requests=row["requests"],
        requests_with_latency=row["requests_with_latency"],
        latency_microseconds=row["latency_microseconds"] or 0,
        latency_buckets=tuple(sorted(buckets if isinstance(buckets, list) else [buckets])),
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        requests_with_cost=row["requests_with_cost"],
        cost_nano_usd=row["cost_nano_usd"] or 0,
        left_out=row["left_out"],
    )
