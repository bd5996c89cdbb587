"""
How long after its end an event can be found: measured for each one, by looking for those not seen yet.

A look asks the store for the events whose sequence number is above the highest one up to which all are known, so that
it brings the new ones and nothing else. An event's lag is from its ``@timestamp``, the end of its request, to the end
of the look that found it: never too short, and too long by a look and the pause before it at most.
"""

import threading
import time
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
import urllib3

from inferlog_ops.cluster import Cluster
from inferlog_ops.provisioning.namespace import stream_name

SECONDS_BETWEEN_LOOKS = 0.2
MOST_ROWS = 10_000
"""ES|QL gives no more at once; the look after that brings the rest."""


@dataclass(slots=True)
class Seen:
    """
    Which sequence numbers of one instance were found.

    Attributes:
        up_to: All up to this one.
        beyond: Those above it: one between is missing yet.
    """

    up_to: int
    beyond: set[int] = field(default_factory=set)

    def add(self, number: int) -> bool:
        """Note *number*; return whether it is new."""
        if number <= self.up_to or number in self.beyond:
            return False
        self.beyond.add(number)
        while self.up_to + 1 in self.beyond:
            self.up_to += 1
            self.beyond.remove(self.up_to)
        return True

    def give_up(self) -> None:
        """Look no more for those that are missing: so many are known beyond them that an answer holds no new one."""
        self.up_to = max(self.beyond, default=self.up_to)
        self.beyond.clear()


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
    """

    def __init__(self, cluster: Cluster, *, service: str, seconds_between_looks: float = SECONDS_BETWEEN_LOOKS) -> None:
        self.looks = 0
        self.look_seconds = 0.0
        self.failures = 0
        self._service = service
        self._seconds_between_looks = seconds_between_looks
        self._pool = urllib3.connection_from_url(cluster.url, retries=False, timeout=30)
        self._stream = stream_name("events", cluster.namespace)
        self._seen: dict[str, Seen] = {}
        self._lags = array("d")
        self._taken = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_all_the_time, name="lag probe", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._pool.close()

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
        while not self._ended.is_set():
            began = time.perf_counter()
            try:
                rows = self._look()
            except (urllib3.exceptions.HTTPError, RuntimeError):
                self.failures += 1
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
            raise RuntimeError(answer.data[:300])
        values = orjson.loads(answer.data)["values"]
        rows = list(zip(*values, strict=True)) if values else []
        if not self._note(rows, seen_at_nanoseconds) and len(rows) == MOST_ROWS:
            for seen in self._seen.values():
                seen.give_up()
        return len(rows)

    def _note(self, rows: Iterable[tuple[str, int, int]], seen_at_nanoseconds: int) -> int:
        """Take in (instance, sequence number, end in nanoseconds) of events; return how many are new."""
        before = len(self._lags)
        for instance, number, ended_nanoseconds in sorted(rows):
            seen = self._seen.setdefault(instance, Seen(up_to=-1))
            if seen.add(number):
                self._lags.append((seen_at_nanoseconds - ended_nanoseconds) / 1e9)
        return len(self._lags) - before


def question(stream: str, service: str, seen: dict[str, Seen]) -> dict[str, Any]:
    """Ask for the events of *service* that were not *seen*, and those beyond a gap once more."""
    new_ones = [
        {
            "bool": {
                "filter": [
                    {"term": {"service.instance.id": instance}},
                    {"range": {"event.sequence": {"gt": known.up_to}}},
                ]
            }
        }
        for instance, known in seen.items()
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
