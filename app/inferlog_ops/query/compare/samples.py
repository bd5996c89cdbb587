"""Requests of two model versions, read from Elasticsearch: all of them, or a random sample."""

import difflib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inferlog_ops.core.console import escape_control
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.core.snapshot import Filter, Snapshot
from inferlog_ops.query.library import NO_VALUE
from inferlog_ops.query.notes import Note
from inferlog_ops.query.run import build_version_filter, check_range
from inferlog_ops.query.timerange import format_utc

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionCounts:
    """
    Counts over every request of one version in the range.

    Attributes:
        requests: Number of requests, with any status.
        errors: Number of requests with status ``error``.
        output_tokens: Sum of output tokens; 0 if unknown.
    """

    requests: int
    errors: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """
    Requests of one version, one array element per request: all requests, or a random sample.

    Attributes:
        model_version: Their model version; ``(none)`` for requests that reached no model.
        counts: Counts of all requests, also of those outside the sample.
        latency_seconds: ``(drawn,)``, float64; NaN where unknown, as in all four.
        time_to_first_token_seconds: ``(drawn,)``, float64.
        output_tokens: ``(drawn,)``, float64.
        cost_usd: ``(drawn,)``, float64.
    """

    model_version: str
    counts: VersionCounts
    latency_seconds: Numbers
    time_to_first_token_seconds: Numbers
    output_tokens: Numbers
    cost_usd: Numbers

    @property
    def drawn(self) -> int:
        """Number of requests in the arrays."""
        return len(self.latency_seconds)

    @property
    def output_tokens_per_second(self) -> Numbers:
        """
        Output tokens per second of latency, of each request with output tokens.

        Rejected requests are excluded: they have no speed.
        """
        answered = (self.output_tokens > 0) & (self.latency_seconds > 0)
        speeds: Numbers = self.output_tokens[answered] / self.latency_seconds[answered]
        return speeds


def sort_known(numbers: Numbers) -> Numbers:
    """Return *numbers* without NaN, in ascending order."""
    return np.sort(numbers[~np.isnan(numbers)])


_FIELDS = ("latency_seconds", "time_to_first_token_seconds", "gen_ai.usage.output_tokens", "cost_usd")
_MOST_VERSIONS = 1_000
_SHOWN_VERSIONS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareSettings:
    """
    Versions, range and sample size of a comparison.

    Attributes:
        model_versions: Two different versions; ``(none)`` for requests that reached no model.
        start: Start of the range, in UTC.
        end: End of the range, exclusive, in UTC.
        at_most: Approximate size of the random sample of a version with more requests.
        seed: Random seed; the same seed draws the same requests.

    Raises:
        OperatorError: If both versions are equal, or the range is empty.
    """

    model_versions: tuple[str, str]
    start: datetime
    end: datetime
    at_most: int
    seed: int

    def __post_init__(self) -> None:
        check_range(self.start, self.end)
        if self.model_versions[0] == self.model_versions[1]:
            raise OperatorError(
                f"{self.model_versions[0]!r} is given twice; expected two different model versions",
                exit_code=2,
            )

    @property
    def in_range(self) -> Filter:
        """Query DSL filter of the events in the range."""
        return {"range": {"@timestamp": {"gte": self.start.isoformat(), "lt": self.end.isoformat()}}}

    @property
    def span(self) -> str:
        """The range as text."""
        return f"from {format_utc(self.start)} to {format_utc(self.end)}"


def fetch_samples(
    snapshot: Snapshot, settings: CompareSettings, report: ReportProgress, future: Note | None = None
) -> tuple[Sample, Sample]:
    """
    Return the requests of both versions.

    Args:
        snapshot: Events to read.
        settings: Versions, range and sample size.
        report: Receives progress lines.
        future: Note on events that are later than the range: a possible reason for an error.

    Raises:
        OperatorError: If a version has no requests, with the reason.
    """
    counts = _count_requests(snapshot, settings)
    for model_version in settings.model_versions:
        if not counts[model_version].requests:
            raise _make_no_requests_error(snapshot, settings, model_version, future)
    first, second = (_fetch_sample(snapshot, settings, each, counts[each], report) for each in settings.model_versions)
    return first, second


def _count_requests(snapshot: Snapshot, settings: CompareSettings) -> dict[str, VersionCounts]:
    per_version = {
        "filters": {"filters": {each: build_version_filter(each) for each in settings.model_versions}},
        "aggs": {
            "errors": {"filter": {"term": {"status": "error"}}},
            "output_tokens": {"sum": {"field": "gen_ai.usage.output_tokens"}},
        },
    }
    return {
        model_version: VersionCounts(
            requests=bucket["doc_count"],
            errors=bucket["errors"]["doc_count"],
            output_tokens=int(bucket["output_tokens"]["value"]),
        )
        for model_version, bucket in snapshot.aggregate(settings.in_range, per_version).items()
    }


def _fetch_sample(
    snapshot: Snapshot, settings: CompareSettings, model_version: str, counts: VersionCounts, report: ReportProgress
) -> Sample:
    query: Filter = {"bool": {"filter": [settings.in_range, build_version_filter(model_version)]}}
    if counts.requests > settings.at_most:
        query = _draw_at_random(query, settings.at_most / counts.requests, settings.seed)
    pages: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    for page in snapshot.read_pages(query, _FIELDS):
        pages.append(np.array([[_read_first_number(event, field) for field in _FIELDS] for event in page]))
        read = sum(map(len, pages))
        report(f"reading {model_version}: {read:,} of {min(counts.requests, settings.at_most):,} requests")
    latency, first_token, output_tokens, cost = np.concatenate(pages).T
    return Sample(
        model_version=model_version,
        counts=counts,
        latency_seconds=latency,
        time_to_first_token_seconds=first_token,
        output_tokens=output_tokens,
        cost_usd=cost,
    )


def _draw_at_random(query: Filter, share: float, seed: int) -> Filter:
    """Score each event from 0 to 1 by its id and the seed, and keep the highest *share* of the scores."""
    return {
        "function_score": {
            "query": query,
            "random_score": {"seed": seed, "field": "event.id"},
            "boost_mode": "replace",
            "min_score": 1 - share,
        }
    }


def _read_first_number(event: dict[str, list[Any]], field: str) -> float:
    values = event.get(field)
    return values[0] if values else np.nan


def _make_no_requests_error(
    snapshot: Snapshot, settings: CompareSettings, model_version: str, future: Note | None
) -> OperatorError:
    """Return the error for a range without events, a version without events in it, or an unknown version."""
    advice = f"choose a wider range with --last or --from{f'. {future.text}' if future else ''}"
    there = _list_versions(snapshot, settings.in_range)
    if not there:
        return OperatorError(f"{snapshot.where} holds no events {settings.span}; {advice}")
    if _list_versions(snapshot, build_version_filter(model_version)):
        return OperatorError(f"model version {model_version!r} has no events {settings.span}; {advice}")
    nearest = difflib.get_close_matches(model_version, there, n=1)
    guess = f"did you mean {escape_control(nearest[0])}? " if nearest else ""
    more = f" and at least {len(there) - _SHOWN_VERSIONS} more" if len(there) > _SHOWN_VERSIONS else ""
    return OperatorError(
        f"no event in {snapshot.where} has the model version {model_version!r}; "
        f"{guess}Known versions: {', '.join(map(escape_control, there[:_SHOWN_VERSIONS]))}{more}",
        exit_code=2,
    )


def _list_versions(snapshot: Snapshot, query: Filter) -> list[str]:
    """Return the model versions of the events that match *query*, by descending count."""
    terms = {"field": "model_version", "missing": NO_VALUE, "size": _MOST_VERSIONS}
    return [bucket["key"] for bucket in snapshot.aggregate(query, {"terms": terms})]
