"""
How long after its end an event can be found: measured for each one, by looking for those not seen yet.

A look asks the store for the events with sequence numbers not found so far, so that it brings the new ones and nothing
else, in whatever order they arrive. An event's lag is from its ``@timestamp``, the end of its request, to the end
of the look that found it: never too short, and too long by a look and the pause before it at most.
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
from inferlog_ops.core.streams import stream_name

SECONDS_BETWEEN_LOOKS = 0.2
MOST_ROWS = 10_000
"""ES|QL gives no more at once; the next look, without a pause before it, brings more."""


class Seen:
    """Which sequence numbers of one instance were found: as ranges, of which there are few."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, number: int) -> bool:
        """Note *number*; return whether it is new."""
        at = bisect_right(self._firsts, number)  # the range that may hold it is the one before
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

    def missing(self) -> list[dict[str, int]]:
        """Return what was not found yet, as bounds of ranges in query DSL: before, between and after what was."""
        before = [-1, *self._lasts]
        gaps = [
            {"gt": last, "lt": first} for last, first in zip(before, self._firsts, strict=False) if first > last + 1
        ]
        return [*gaps, {"gt": before[-1]}]


class LagProbe:
    """
    Looks all the time, in a thread of its own.

    Args:
        cluster: Where to look.
        service: Whose events count: the ``service.name``.
        seconds_between_looks: From a look's end to the next.

    Attributes:
        looks: How often it has looked.
        look_seconds: How long all looks took.
        failures: How many looks the store did not answer.
        last_failure: Why it did not answer the last of these.
    """

    def __init__(self, cluster: Cluster, *, service: str, seconds_between_looks: float = SECONDS_BETWEEN_LOOKS) -> None:
        self.looks = 0
        self.look_seconds = 0.0
        self.failures = 0
        self.last_failure = ""
        self._service = service
        self._seconds_between_looks = seconds_between_looks
        self._pool = urllib3.connection_from_url(cluster.url, retries=False, timeout=30)
        self._stream = stream_name("events", cluster.namespace)
        self._seen: dict[str, Seen] = {}
        self._lags = array("d")
        self._taken = 0
        self._fault: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_all_the_time, name="lag probe", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._pool.close()

    def check(self) -> None:
        """
        Do nothing while it looks.

        Raises:
            OperatorError: If it cannot look any more: an answer was none that it understands.
        """
        if self._fault is not None:
            raise OperatorError(f"the lag probe ended after {self.looks:,} looks: {self._fault!r}") from self._fault

    def said_of_failures(self) -> str:
        """Return how many looks failed, to follow another text; empty if none did."""
        return f", {self.failures:,} looks for events failed, the last by {self.last_failure}" if self.failures else ""

    @property
    def found(self) -> int:
        """How many events it has found."""
        return len(self._lags)

    def lags(self) -> list[float]:
        """Return the lag of every event so far, in seconds."""
        return self._lags.tolist()

    def recent_lags(self) -> list[float]:
        """Return those since the last call of this."""
        recent = self._lags[self._taken :].tolist()
        self._taken += len(recent)
        return recent

    def _look_all_the_time(self) -> None:
        try:
            self._look_until_the_end()
        except Exception as fault:  # noqa: BLE001 (nobody sees what a thread raises: check tells whatever it is)
            self._fault = fault

    def _look_until_the_end(self) -> None:
        while not self._ended.is_set():
            began = time.perf_counter()
            try:
                rows = self._look()
            except (urllib3.exceptions.HTTPError, RuntimeError) as failure:
                self.failures += 1
                self.last_failure = str(failure)[:300]
                rows = 0
            self.looks += 1
            self.look_seconds += time.perf_counter() - began
            if rows < MOST_ROWS:
                self._ended.wait(self._seconds_between_looks)

    def _look(self) -> int:
        answer = self._pool.request(
            "POST",
            "/_query",
            body=orjson.dumps(question(self._stream, self._service, self._seen)),
            headers={"content-type": "application/json"},
        )
        seen_at_nanoseconds = time.time_ns()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {answer.data[:200].decode(errors='replace')}")
        values = orjson.loads(answer.data)["values"]
        rows = list(zip(*values, strict=True)) if values else []
        for instance, number, ended_nanoseconds in rows:
            if self._seen.setdefault(instance, Seen()).add(number):
                self._lags.append((seen_at_nanoseconds - ended_nanoseconds) / 1e9)
        return len(rows)


def question(stream: str, service: str, seen: dict[str, Seen]) -> dict[str, Any]:
    """Ask for the events of *service* that were not *seen*."""
    new_ones = [
        {"bool": {"filter": [{"term": {"service.instance.id": instance}}, {"range": {"event.sequence": bounds}}]}}
        for instance, known in seen.items()
        for bounds in known.missing()
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
