"""Reads the requests of two model versions: all of them, or so many drawn at random."""

import difflib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from inferlog_ops.core.console import printable
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say
from inferlog_ops.core.snapshot import Filter, Snapshot
from inferlog_ops.query.compare.sample import Counts, Sample
from inferlog_ops.query.run import NO_MODEL_VERSION, check_range, version_filter

_FIELDS = ("latency_seconds", "time_to_first_token_seconds", "gen_ai.usage.output_tokens", "cost_usd")
_MOST_VERSIONS = 1_000
_SHOWN_VERSIONS = 10
_MOMENT = "%Y-%m-%d %H:%M:%S UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    What to read.

    Attributes:
        model_versions: Two different ones; ``(none)`` for the requests that reached no model.
        start: First moment of the range, in UTC.
        end: First moment after it, in UTC.
        at_most: Of a version with more requests than this, about so many are drawn.
        seed: The same one draws the same requests.

    Raises:
        OperatorError: If the versions are one and the same, or the range is empty.
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
                f"{self.model_versions[0]!r} is named twice; a comparison takes two different model versions",
                exit_code=2,
            )

    @property
    def in_range(self) -> Filter:
        """Lets through the events of the range."""
        return {"range": {"@timestamp": {"gte": self.start.isoformat(), "lt": self.end.isoformat()}}}

    @property
    def span(self) -> str:
        """The range as a person reads it."""
        return f"from {self.start:{_MOMENT}} to {self.end:{_MOMENT}}"


def samples(snapshot: Snapshot, wanted: Wanted, say: Say) -> tuple[Sample, Sample]:
    """
    Return the requests of both versions.

    Raises:
        OperatorError: If one of them has none; says why.
    """
    counts = _counted(snapshot, wanted)
    for model_version in wanted.model_versions:
        if not counts[model_version].requests:
            raise _without_requests(snapshot, wanted, model_version)
    first, second = (_sample(snapshot, wanted, each, counts[each], say) for each in wanted.model_versions)
    return first, second


def _counted(snapshot: Snapshot, wanted: Wanted) -> dict[str, Counts]:
    per_version = {
        "filters": {"filters": {each: version_filter(each) for each in wanted.model_versions}},
        "aggs": {
            "errors": {"filter": {"term": {"status": "error"}}},
            "output_tokens": {"sum": {"field": "gen_ai.usage.output_tokens"}},
        },
    }
    return {
        model_version: Counts(
            requests=bucket["doc_count"],
            errors=bucket["errors"]["doc_count"],
            output_tokens=int(bucket["output_tokens"]["value"]),
        )
        for model_version, bucket in snapshot.aggregated(wanted.in_range, per_version).items()
    }


def _sample(snapshot: Snapshot, wanted: Wanted, model_version: str, counts: Counts, say: Say) -> Sample:
    query: Filter = {"bool": {"filter": [wanted.in_range, version_filter(model_version)]}}
    if counts.requests > wanted.at_most:
        query = _drawn_at_random(query, wanted.at_most / counts.requests, wanted.seed)
    pages: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    for page in snapshot.pages(query, _FIELDS):
        pages.append(np.array([[_number(event, field) for field in _FIELDS] for event in page]))
        read = sum(map(len, pages))
        say(f"reading {model_version}: {read:,} of {min(counts.requests, wanted.at_most):,} requests")
    latency, first_token, output_tokens, cost = np.concatenate(pages).T
    return Sample(
        model_version=model_version,
        counts=counts,
        latency_seconds=latency,
        time_to_first_token_seconds=first_token,
        output_tokens=output_tokens,
        cost_usd=cost,
    )


def _drawn_at_random(query: Filter, share: float, seed: int) -> Filter:
    """Give each event a score from 0 to 1, by its id and the seed, and let through those with a high one."""
    return {
        "function_score": {
            "query": query,
            "random_score": {"seed": seed, "field": "event.id"},
            "boost_mode": "replace",
            "min_score": 1 - share,
        }
    }


def _number(event: dict[str, list[Any]], field: str) -> float:
    values = event.get(field)
    return values[0] if values else np.nan


def _without_requests(snapshot: Snapshot, wanted: Wanted, model_version: str) -> OperatorError:
    """Tell no events at all from none of this version now and from a version that is not there."""
    there = _versions(snapshot, wanted.in_range)
    if not there:
        return OperatorError(
            f"{snapshot.where} holds no events {wanted.span}; choose a wider range with --last or --from"
        )
    if _versions(snapshot, version_filter(model_version)):
        return OperatorError(
            f"model version {model_version!r} has no events {wanted.span}; choose a wider range with --last or --from"
        )
    nearest = difflib.get_close_matches(model_version, there, n=1)
    advice = f"did you mean {printable(nearest[0])}? " if nearest else ""
    more = f" and {len(there) - _SHOWN_VERSIONS} more" if len(there) > _SHOWN_VERSIONS else ""
    return OperatorError(
        f"no event in {snapshot.where} has the model version {model_version!r}; "
        f"{advice}There are {', '.join(map(printable, there[:_SHOWN_VERSIONS]))}{more}",
        exit_code=2,
    )


def _versions(snapshot: Snapshot, query: Filter) -> list[str]:
    """Return the versions of the events that *query* lets through, those with the most events first."""
    terms = {"field": "model_version", "missing": NO_MODEL_VERSION, "size": _MOST_VERSIONS}
    return [bucket["key"] for bucket in snapshot.aggregated(query, {"terms": terms})]
