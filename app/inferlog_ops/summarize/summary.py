"""A summary: counts and sums of the events of one minute or hour with the same service, version, route and status."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final, Self

import orjson

from inferlog_ops.summarize.buckets import decode_counts, encode_counts

KEY_FIELDS: Final = ("service.name", "service.environment", "model_version", "http.route", "status")
"""Fields of an event that a summary keeps. A missing value stays missing."""

MICRO: Final = 1_000_000
NANO: Final = 1_000_000_000


class SummaryInterval(IntEnum):
    """Length of a summary in seconds."""

    MINUTE = 60
    HOUR = 3600

    @property
    def duration(self) -> timedelta:
        """The length."""
        return timedelta(seconds=self.value)

    def floor(self, moment: datetime) -> datetime:
        """Return the start of the interval that contains *moment*."""
        return datetime.fromtimestamp(moment.timestamp() // self.value * self.value, UTC)

    def ceil(self, moment: datetime) -> datetime:
        """Return the start of the first interval that begins at *moment* or later."""
        start = self.floor(moment)
        return start if start == moment else start + self.duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """
    One summary. Sums are integers, so that the same events always give the same summary.

    Attributes:
        interval: Its length.
        start: Its start, in UTC.
        key: Values of `KEY_FIELDS`.
        requests: Number of events.
        requests_with_latency: Number of those with a latency.
        latency_microseconds: Sum of their latencies.
        latency_buckets: Their number by bucket, encoded.
        input_tokens: Sum; None if no event has them.
        output_tokens: Sum; None if no event has them.
        requests_with_cost: Number of events with a cost.
        cost_nano_usd: Sum of their costs.
        left_out: Number of events with a value that is too large for a sum; not part of the document.
        oldest_events_index: Oldest backing index of the events when the minute was computed; None for an hour, and for
            a minute of an earlier release.
    """

    interval: SummaryInterval
    start: datetime
    key: tuple[str | None, ...]
    requests: int
    requests_with_latency: int
    latency_microseconds: int
    latency_buckets: tuple[int, ...]
    input_tokens: int | None
    output_tokens: int | None
    requests_with_cost: int
    cost_nano_usd: int
    left_out: int = field(default=0, compare=False)
    oldest_events_index: str | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        """Id of its document: the same in each run."""
        return hashlib.sha256(orjson.dumps([self.interval, self.start, self.key])).hexdigest()[:32]

    @property
    def model_version(self) -> str | None:
        """Its model version; None if it is missing."""
        return self.key[KEY_FIELDS.index("model_version")]

    def to_document(self) -> dict[str, Any]:
        """Return its document."""
        sums: dict[str, Any] = {"requests": self.requests, "requests_with_latency": self.requests_with_latency}
        if self.requests_with_latency:
            sums["latency_seconds_sum"] = self.latency_microseconds / MICRO
            sums["latency_buckets"] = list(self.latency_buckets)
        if self.input_tokens is not None:
            sums["input_tokens"] = self.input_tokens
        if self.output_tokens is not None:
            sums["output_tokens"] = self.output_tokens
        sums["requests_with_cost"] = self.requests_with_cost
        if self.requests_with_cost:
            sums["cost_usd"] = self.cost_nano_usd / NANO
        if self.oldest_events_index is not None:
            sums["oldest_events_index"] = self.oldest_events_index
        return {
            "@timestamp": self.start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "interval_seconds": self.interval.value,
            **_nest(dict(zip(KEY_FIELDS, self.key, strict=True))),
            **sums,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Parse the document of a summary."""
        return cls(
            interval=SummaryInterval(document["interval_seconds"]),
            start=datetime.fromisoformat(document["@timestamp"]),
            key=tuple(_find(document, field) for field in KEY_FIELDS),
            requests=document["requests"],
            requests_with_latency=document["requests_with_latency"],
            latency_microseconds=round(document.get("latency_seconds_sum", 0.0) * MICRO),
            latency_buckets=tuple(document.get("latency_buckets", ())),
            input_tokens=document.get("input_tokens"),
            output_tokens=document.get("output_tokens"),
            requests_with_cost=document["requests_with_cost"],
            cost_nano_usd=round(document.get("cost_usd", 0.0) * NANO),
            oldest_events_index=document.get("oldest_events_index"),
        )


def merge_to_hours(minutes: Iterable[Summary]) -> list[Summary]:
    """Return the summaries of the hours that contain *minutes*."""
    groups: dict[tuple[datetime, tuple[str | None, ...]], list[Summary]] = {}
    for minute in minutes:
        groups.setdefault((SummaryInterval.HOUR.floor(minute.start), minute.key), []).append(minute)
    return [_merge(start, group) for (start, _), group in groups.items()]


def _merge(start: datetime, minutes: list[Summary]) -> Summary:
    counts: Counter[int] = Counter()
    for minute in minutes:
        counts.update(decode_counts(minute.latency_buckets))
    return replace(
        minutes[0],
        interval=SummaryInterval.HOUR,
        start=start,
        requests=sum(each.requests for each in minutes),
        requests_with_latency=sum(each.requests_with_latency for each in minutes),
        latency_microseconds=sum(each.latency_microseconds for each in minutes),
        latency_buckets=encode_counts(counts),
        input_tokens=_total(each.input_tokens for each in minutes),
        output_tokens=_total(each.output_tokens for each in minutes),
        requests_with_cost=sum(each.requests_with_cost for each in minutes),
        cost_nano_usd=sum(each.cost_nano_usd for each in minutes),
        oldest_events_index=None,
    )


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _nest(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return *fields* without missing values, with an object for each part before a dot."""
    nested: dict[str, Any] = {}
    for path, value in fields.items():
        if value is not None:
            *parents, name = path.split(".")
            inner = nested
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[name] = value
    return nested


def _find(document: Mapping[str, Any], field: str) -> Any:
    value: Any = document
    for part in field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
