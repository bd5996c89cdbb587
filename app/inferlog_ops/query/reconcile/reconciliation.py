"""Reconciliation of a load generator's records with the events in Elasticsearch and with the dashboards' queries."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

import numpy as np

from inferlog_ops.core.cluster import Cluster, require_stream, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.core.snapshot import Filter, Snapshot
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.core.wait import NotInTimeError, wait_while
from inferlog_ops.query import library
from inferlog_ops.query.reconcile import events
from inferlog_ops.query.reconcile.events import EventScope, RequestEvent
from inferlog_ops.query.reconcile.latencies import (
    PERCENTS,
    GroupColumn,
    LatencyComparison,
    Tolerance,
    compare_latencies,
)
from inferlog_ops.query.reconcile.matching import Matching, Mismatch
from inferlog_ops.query.reconcile.records import ClientOutcome, ClientRecords
from inferlog_ops.query.run import fetch_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileResult:
    """
    Counts, differences and latencies of a reconciliation.

    Attributes:
        start: Start of the queries' range: the first request, or the first matched event.
        end: End of the range, exclusive: just after the last request or matched event.
        sent: Number of requests.
        outcomes: Number of requests by client outcome.
        with_event: Number of requests with an event.
        lost: Correlation ids of requests with at least part of a response, but without an event.
        without_event: Number of requests with neither a response nor an event.
        duplicated: Correlation ids of requests with surplus events.
        surplus: Number of surplus events.
        copies: Number of surplus events that are copies, indexed more than once.
        strangers: Number of events in the range without a request.
        some_strangers: Correlation ids of some of these events.
        still_coming: True if new events arrived until the timeout, so that duplicates may still follow.
        mismatches: Requests with different ends in record and event.
        comparisons: Latencies by model version and by route.
        tolerance: Allowed difference of the latencies.
    """

    start: datetime
    end: datetime
    sent: int
    outcomes: Mapping[ClientOutcome, int]
    with_event: int
    lost: list[str]
    without_event: int
    duplicated: list[str]
    surplus: int
    copies: int
    strangers: int
    some_strangers: list[str]
    still_coming: bool
    mismatches: list[Mismatch]
    comparisons: list[LatencyComparison]
    tolerance: Tolerance

    @property
    def apart(self) -> list[tuple[LatencyComparison, int]]:
        """Groups and percents whose latencies differ by more than the tolerance."""
        return [
            (comparison, percent)
            for comparison in self.comparisons
            for percent in PERCENTS
            if comparison.agrees(percent) is False
        ]

    @property
    def complete(self) -> bool:
        """True if every request has exactly one event, with the same end."""
        return not (self.lost or self.duplicated or self.strangers or self.mismatches)

    @property
    def matches(self) -> bool:
        """True if at least one request has an event, and there is no difference."""
        return self.with_event > 0 and self.complete and not self.apart


_QUERIES: Final[dict[GroupColumn, str]] = {"model_version": "p99_latency", "http.route": "routes"}
_MAX_IDS_PER_QUERY: Final = 10_000
_JUST_AFTER: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileSettings:
    """
    Scope, tolerance and waiting times of a reconciliation.

    Attributes:
        scope: Filter of the events.
        tolerance: Allowed difference between client and dashboard.
        wait_seconds: Maximum wait until the events are searchable.
        settle_seconds: Quiet time without new events before the final read: copies arrive later than originals.
    """

    scope: EventScope
    tolerance: Tolerance
    wait_seconds: float
    settle_seconds: float


def reconcile(
    cluster: Cluster, records: ClientRecords, settings: ReconcileSettings, report: ReportProgress
) -> ReconcileResult:
    """
    Match *records* with events and compare the latencies.

    Raises:
        OperatorError: If the cluster fails or rejects a query, or if several services have events of the requests.
    """
    matching, still_coming = _match(cluster, records, settings, report)
    if len(matching.services) > 1:
        raise OperatorError(
            f"events of {len(matching.services)} services have the requests' correlation ids "
            f"({', '.join(sorted(name or library.NO_VALUE for name in matching.services))}); "
            "select the service that the clients called with --service",
            exit_code=2,
        )
    start, end = matching.start, matching.end + _JUST_AFTER
    within = settings.scope.filter
    dashboard: dict[GroupColumn, list[dict[str, Any]]] = {
        group: fetch_rows(cluster, library.find(name), start, end, within=within) for group, name in _QUERIES.items()
    }
    return ReconcileResult(
        start=start,
        end=end,
        sent=len(records),
        outcomes={outcome: records.count(outcome) for outcome in ClientOutcome},
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
        comparisons=compare_latencies(matching, dashboard, settings.tolerance),
        tolerance=settings.tolerance,
    )


def _match(
    cluster: Cluster, records: ClientRecords, settings: ReconcileSettings, report: ReportProgress
) -> tuple[Matching, bool]:
    """
    Poll until no event is missing and no new event arrives, or until the timeout, and match the events.

    Returns:
        The matching, and whether new events arrived until the timeout.
    """
    query = events.build_filter(records, settings.scope)
    deadline = monotonic() + settings.wait_seconds
    _wait_for(cluster, query, int(np.count_nonzero(records.answer_began)), deadline, report)
    while True:
        still_coming = _wait_until_settled(cluster, query, settings.settle_seconds, deadline, report)
        matching = _read(cluster, records, query, report)
        lost = matching.lost
        if not lost or monotonic() >= deadline:
            return matching, still_coming
        # The count was reached by other clients' events or by duplicates: wait for the lost ones by id.
        ids = lost[:_MAX_IDS_PER_QUERY]
        lost_query = {"bool": {"filter": [query, {"terms": {"correlation_id": ids}}]}}
        _wait_for(cluster, lost_query, len(ids), deadline, report)


def _wait_for(cluster: Cluster, query: Filter, count: int, deadline: float, report: ReportProgress) -> None:
    """Wait for *count* events, at most until *deadline*; missing events are part of the result."""

    def describe_missing(found: int) -> str | None:
        return None if found >= count else f"{found:,} of {count:,} are searchable"

    _poll_count(cluster, query, describe_missing, deadline, report)


def _wait_until_settled(
    cluster: Cluster, query: Filter, settle_seconds: float, deadline: float, report: ReportProgress
) -> bool:
    """
    Wait until no event has arrived for *settle_seconds*, or until *deadline* if that is later.

    Returns:
        Whether new events kept arriving.
    """
    known: int | None = None
    since, has_arrived = monotonic(), False

    def describe_new(found: int) -> str | None:
        nonlocal known, since, has_arrived
        if found != known:
            has_arrived = known is not None
            known, since = found, monotonic()
        return None if monotonic() - since >= settle_seconds else f"{found:,} found; waiting for duplicates"

    if settle_seconds == 0:
        return False
    settled = _poll_count(cluster, query, describe_new, max(deadline, since + settle_seconds), report)
    # The first poll is slightly later than *since*: a timeout without a change also counts as settled.
    return has_arrived and not settled


def _poll_count(
    cluster: Cluster,
    query: Filter,
    describe_pending: Callable[[int], str | None],
    deadline: float,
    report: ReportProgress,
) -> bool:
    """
    Poll the number of events until *describe_pending* returns None for it, or until *deadline*.

    Returns:
        Whether it returned None in time.
    """
    stream = build_stream_name("events", cluster.namespace)
    with cluster.build_client() as client, translate_errors(cluster, "counting the events"):

        def poll() -> str | None:
            with require_stream(cluster, stream):
                return describe_pending(int(client.count(index=stream, query=query)["count"]))

        timeout_seconds = max(0.0, deadline - monotonic())
        try:
            wait_while(poll, "the events", timeout_seconds=timeout_seconds, on_progress=report, advice="")
        except NotInTimeError:
            return False
    return True


def _read(cluster: Cluster, records: ClientRecords, query: Filter, report: ReportProgress) -> Matching:
    with Snapshot.open_events(cluster) as snapshot:
        return Matching.from_records(
            records, _report_progress(events.read_pages(snapshot, query), len(records), report)
        )


def _report_progress(
    pages: Iterable[list[RequestEvent]], requests: int, report: ReportProgress
) -> Iterator[list[RequestEvent]]:
    """Yield *pages* and report the number of events read."""
    read = 0
    for page in pages:
        yield page
        read += len(page)
        report(f"reading the events: {read:,} for {requests:,} requests")
