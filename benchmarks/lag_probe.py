"""
Probe that measures the lag of every event by polling for events not found yet.

A poll queries the sequence numbers not found so far, so that it returns only new events, in any order of arrival. An
event's lag is from its ``@timestamp``, the end of its request, to the end of the poll that found it: never too short,
and too long by at most one poll and the pause before it.
"""

import threading
import time
from array import array
from bisect import bisect_right
from typing import Any, Self

import orjson
import urllib3

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_stream_name

SECONDS_BETWEEN_POLLS = 0.2
MOST_ROWS = 10_000
"""Maximum rows of an ES|QL response; the next poll follows without a pause."""


class SequenceRanges:
    """Sequence numbers found of one instance, as a few ranges."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, number: int) -> bool:
        """Add *number*; return whether it is new."""
        at = bisect_right(self._firsts, number)  # only the range before can contain it
        if at and number <= self._lasts[at - 1]:
            return False
        follows = at > 0 and self._lasts[at - 1] == number - 1
        precedes = at < len(self._firsts) and self._firsts[at] == number + 1
        if follows and precedes:
            self._lasts[at - 1] = self._lasts.pop(at)
            del self._firsts[at]
        elif follows:
            self._lasts[at - 1] = number
        elif precedes:
            self._firsts[at] = number
        else:
            self._firsts.insert(at, number)
            self._lasts.insert(at, number)
        return True

    def find_gaps(self) -> list[dict[str, int]]:
        """Return the gaps before, between and after the ranges, as range bounds of the query DSL."""
        before = [-1, *self._lasts]
        gaps = [
            {"gt": last, "lt": first} for last, first in zip(before, self._firsts, strict=False) if first > last + 1
        ]
        return [*gaps, {"gt": before[-1]}]


class LagProbe:
    """
    Poller in its own thread.

    Args:
        cluster: Cluster to query.
        service: ``service.name`` of the events.
        seconds_between_polls: From the end of a poll to the next.

    Attributes:
        polls: Number of polls.
        poll_seconds: Total duration of all polls.
        failures: Number of failed polls.
        last_failure: Error of the last failed poll.
    """

    def __init__(self, cluster: Cluster, *, service: str, seconds_between_polls: float = SECONDS_BETWEEN_POLLS) -> None:
        self.polls = 0
        self.poll_seconds = 0.0
        self.failures = 0
        self.last_failure = ""
        self._service = service
        self._seconds_between_polls = seconds_between_polls
        self._pool = urllib3.connection_from_url(cluster.url, retries=False, timeout=30)
        self._stream = build_stream_name("events", cluster.namespace)
        self._seen: dict[str, SequenceRanges] = {}
        self._lags = array("d")
        self._taken = 0
        self._fault: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag probe", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._pool.close()

    def check(self) -> None:
        """
        Check that the thread still runs.

        Raises:
            OperatorError: If it has ended because of an unexpected response.
        """
        if self._fault is not None:
            raise OperatorError(f"the lag probe failed after {self.polls:,} polls: {self._fault!r}") from self._fault

    def describe_failures(self) -> str:
        """Return a clause about failed polls, to be appended to a sentence; empty without failures."""
        return f", {self.failures:,} polls failed, the last with {self.last_failure}" if self.failures else ""

    @property
    def found(self) -> int:
        """Number of events found."""
        return len(self._lags)

    def list_lags(self) -> list[float]:
        """Return the lag of every event so far, in seconds."""
        return self._lags.tolist()

    def take_recent_lags(self) -> list[float]:
        """Return the lags since the last call."""
        recent = self._lags[self._taken :].tolist()
        self._taken += len(recent)
        return recent

    def _run(self) -> None:
        try:
            self._poll_until_ended()
        except Exception as fault:  # noqa: BLE001 (raised again by check in the main thread)
            self._fault = fault

    def _poll_until_ended(self) -> None:
        while not self._ended.is_set():
            began = time.perf_counter()
            try:
                rows = self._poll()
            except (urllib3.exceptions.HTTPError, RuntimeError) as failure:
                self.failures += 1
                self.last_failure = str(failure)[:300]
                rows = 0
            self.polls += 1
            self.poll_seconds += time.perf_counter() - began
            if rows < MOST_ROWS:
                self._ended.wait(self._seconds_between_polls)

    def _poll(self) -> int:
        answer = self._pool.request(
            "POST",
            "/_query",
            body=orjson.dumps(build_query(self._stream, self._service, self._seen)),
            headers={"content-type": "application/json"},
        )
        seen_at_nanoseconds = time.time_ns()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {answer.data[:200].decode(errors='replace')}")
        values = orjson.loads(answer.data)["values"]
        rows = list(zip(*values, strict=True)) if values else []
        for instance, number, ended_nanoseconds in rows:
            if self._seen.setdefault(instance, SequenceRanges()).add(number):
                self._lags.append((seen_at_nanoseconds - ended_nanoseconds) / 1e9)
        return len(rows)


def build_query(stream: str, service: str, seen: dict[str, SequenceRanges]) -> dict[str, Any]:
    """Return the query for events of *service* that were not *seen*."""
    new_ones = [
        {"bool": {"filter": [{"term": {"service.instance.id": instance}}, {"range": {"event.sequence": bounds}}]}}
        for instance, known in seen.items()
        for bounds in known.find_gaps()
    ]
    of_others = {"bool": {"must_not": {"terms": {"service.instance.id": list(seen)}}}}
    return {
        "query": f"FROM {stream} | EVAL ended = TO_LONG(@timestamp) "
        f"| KEEP service.instance.id, event.sequence, ended | LIMIT {MOST_ROWS}",
        "columnar": True,
        "filter": {
            "bool": {
                "filter": {"term": {"service.name": service}},
                "should": [*new_ones, of_others],
                "minimum_should_match": 1,
            }
        },
    }
