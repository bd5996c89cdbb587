"""Reconciles: waits for the events, reads them, asks the dashboards' queries."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, Final

import numpy as np

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say
from inferlog_ops.core.snapshot import Filter, Snapshot, stream_is_there
from inferlog_ops.core.streams import stream_name
from inferlog_ops.core.wait import NotInTimeError, wait_while
from inferlog_ops.query import library
from inferlog_ops.query.reconcile import events
from inferlog_ops.query.reconcile.events import Event, Scope
from inferlog_ops.query.reconcile.figures import Group, Tolerance, compared
from inferlog_ops.query.reconcile.matching import Matching
from inferlog_ops.query.reconcile.records import Outcome, Records
from inferlog_ops.query.reconcile.result import Result
from inferlog_ops.query.run import run as ask

_QUERIES: Final[dict[Group, str]] = {"model_version": "p99_latency", "http.route": "routes"}
_ASKED_AT_ONCE: Final = 10_000
_JUST_AFTER: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    What is reconciled, and by what measure.

    Attributes:
        scope: Which events are asked for.
        tolerance: How far client and dashboard may be apart.
        wait_seconds: How long events may take to be found.
        settle_seconds: How long no further event may come before the last look: a copy comes after what it copies.
    """

    scope: Scope
    tolerance: Tolerance
    wait_seconds: float
    settle_seconds: float


def reconcile(cluster: Cluster, records: Records, wanted: Wanted, say: Say) -> Result:
    """
    Find the event of each of *records* and compare the latencies.

    Raises:
        OperatorError: If the cluster does not answer or refuses; if events of several services bear the requests' ids.
    """
    matching, still_coming = _matched(cluster, records, wanted, say)
    if len(matching.services) > 1:
        raise OperatorError(
            f"events of {len(matching.services)} services bear the requests' correlation ids "
            f"({', '.join(sorted(name or events.NO_VALUE for name in matching.services))}); "
            "say with --service which of them the clients asked",
            exit_code=2,
        )
    start, end = matching.start, matching.end + _JUST_AFTER
    within = wanted.scope.filter
    dashboard: dict[Group, list[dict[str, Any]]] = {
        group: ask(cluster, library.find(name), start, end, within=within) for group, name in _QUERIES.items()
    }
    return Result(
        start=start,
        end=end,
        sent=len(records),
        outcomes={outcome: records.count(outcome) for outcome in Outcome},
        with_event=int(np.count_nonzero(matching.has_event)),
        lost=matching.lost,
        without_event=len(matching.without_event),
        duplicated=matching.duplicated,
        surplus=matching.surplus,
        copies=matching.copies,
        strangers=matching.strangers,
        some_strangers=matching.some_strangers,
        still_coming=still_coming,
        mismatches=matching.mismatches,
        comparisons=compared(matching, dashboard, wanted.tolerance),
        tolerance=wanted.tolerance,
    )


def _matched(cluster: Cluster, records: Records, wanted: Wanted, say: Say) -> tuple[Matching, bool]:
    """
    Return the requests with their events, once none is missing and none comes any more, or the time is over.

    Returns:
        The requests, and whether events kept coming until the time was over.
    """
    query = events.about(records, wanted.scope)
    deadline = monotonic() + wanted.wait_seconds
    _wait_for(cluster, query, int(np.count_nonzero(records.answer_began)), deadline, say)
    while True:
        still_coming = _wait_until_none_comes(cluster, query, wanted.settle_seconds, deadline, say)
        matching = _read(cluster, records, query, say)
        lost = matching.lost
        if not lost or monotonic() >= deadline:
            return matching, still_coming
        # Others' events, or duplicates, have made up for the number of those that are missing.
        asked = lost[:_ASKED_AT_ONCE]
        those = {"bool": {"filter": [query, {"terms": {"correlation_id": asked}}]}}
        _wait_for(cluster, those, len(asked), deadline, say)


def _wait_for(cluster: Cluster, query: Filter, count: int, deadline: float, say: Say) -> None:
    """Return once there are *count* events, or at the *deadline*: what is missing then is part of the result."""

    def what_is_missing(found: int) -> str | None:
        return None if found >= count else f"{found:,} of {count:,} can be found"

    _count_while(cluster, query, what_is_missing, deadline, say)


def _wait_until_none_comes(cluster: Cluster, query: Filter, settle_seconds: float, deadline: float, say: Say) -> bool:
    """
    Return once no event has come for *settle_seconds*, or at the *deadline*, where that is later.

    Returns:
        Whether events kept coming.
    """
    known: int | None = None
    since, one_came = monotonic(), False

    def what_still_comes(found: int) -> str | None:
        nonlocal known, since, one_came
        if found != known:
            one_came = known is not None
            known, since = found, monotonic()
        return None if monotonic() - since >= settle_seconds else f"{found:,} found; is there one too many on its way?"

    if settle_seconds == 0:
        return False
    settled = _count_while(cluster, query, what_still_comes, max(deadline, since + settle_seconds), say)
    # The first look comes a moment after *since*: out of time without a change is settled, too.
    return one_came and not settled


def _count_while(
    cluster: Cluster, query: Filter, what_is_missing: Callable[[int], str | None], deadline: float, say: Say
) -> bool:
    """
    Count the events again and again while *what_is_missing*, given their number, says something.

    Returns:
        Whether it said nothing before the *deadline*.
    """
    stream = stream_name("events", cluster.namespace)
    with cluster.client() as client, translate_errors(cluster, "counting the events"):

        def look() -> str | None:
            with stream_is_there(cluster, stream):
                return what_is_missing(int(client.count(index=stream, query=query)["count"]))

        timeout_seconds = max(0.0, deadline - monotonic())
        try:
            wait_while(look, "the events", timeout_seconds=timeout_seconds, on_progress=say, advice="")
        except NotInTimeError:
            return False
    return True


def _read(cluster: Cluster, records: Records, query: Filter, say: Say) -> Matching:
    with Snapshot.of_events(cluster) as snapshot:
        return Matching.of(records, _counted(events.pages(snapshot, query), len(records), say))


def _counted(pages: Iterable[list[Event]], requests: int, say: Say) -> Iterator[list[Event]]:
    """Yield *pages*, and say how many events they held so far."""
    read = 0
    for page in pages:
        yield page
        read += len(page)
        say(f"reading the events: {read:,} for {requests:,} requests")
