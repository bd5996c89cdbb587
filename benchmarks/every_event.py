"""Count of lost and duplicated events of a run, over every event in the index."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.snapshot import Snapshot

FIELDS = ("event.id", "service.instance.id", "event.sequence", "correlation_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """
    Counts of a run's events in the index.

    Attributes:
        events: All events.
        without_event: Requests without an event.
        with_several: Surplus events of requests with more than one.
        doubled_ids: Events with a repeated ``event.id``.
        missing_numbers: Gaps in the ``event.sequence`` of the instances, from 0 on.
        doubled_numbers: Events with a repeated number of the same instance.
        unexpected: Events of requests that were never sent.
    """

    events: int
    without_event: int
    with_several: int
    doubled_ids: int
    missing_numbers: int
    doubled_numbers: int
    unexpected: int

    @property
    def lost(self) -> int:
        """Lost events: the larger count, by requests or by sequence."""
        return max(self.without_event, self.missing_numbers)

    @property
    def duplicated(self) -> int:
        """Duplicated events: the largest of the three counts."""
        return max(self.with_several, self.doubled_ids, self.doubled_numbers)


def count_findings(events: Iterator[tuple[str, str, int, str]], run: str, requests: int) -> Findings:
    """
    Count lost and duplicated *events*.

    Args:
        events: Id, instance, sequence number and correlation id of each.
        run: Prefix of the run's correlation ids; see paced_client.
        requests: Number of requests, numbered from 0.
    """
    ids: set[str] = set()
    numbers: defaultdict[str, Counter[int]] = defaultdict(Counter)
    of_request = bytearray(requests)
    count = unexpected = 0
    for event_id, instance, number, correlation_id in events:
        count += 1
        ids.add(event_id)
        numbers[instance][number] += 1
        of_run, _, request = correlation_id.rpartition("-")
        if of_run == run and request.isdigit() and int(request) < requests:
            of_request[int(request)] = min(of_request[int(request)] + 1, 255)
        else:
            unexpected += 1
    return Findings(
        events=count,
        without_event=of_request.count(0),
        with_several=sum(copies - 1 for copies in of_request if copies > 1),
        doubled_ids=count - len(ids),
        missing_numbers=sum(max(found) + 1 - len(found) for found in numbers.values()),
        doubled_numbers=sum(found.total() - len(found) for found in numbers.values()),
        unexpected=unexpected,
    )


def read_every_event(cluster: Cluster) -> Iterator[tuple[str, str, int, str]]:
    """Yield id, instance, sequence number and correlation id of every event in the index."""
    with Snapshot.open_events(cluster) as snapshot:
        for page in snapshot.read_pages({"match_all": {}}, FIELDS):
            for fields in page:
                event_id, instance, number, correlation_id = (fields[name][0] for name in FIELDS)
                yield event_id, instance, number, correlation_id
