"""What a reconciliation has found out, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from inferlog_ops.query.reconcile.figures import PERCENTS, Comparison, Tolerance
from inferlog_ops.query.reconcile.matching import Mismatch
from inferlog_ops.query.reconcile.records import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    Requests against events.

    Attributes:
        start: Begin of the range that the queries were asked about: the first request or event of one.
        end: Its end: just after the last request or event of one.
        sent: Count of requests.
        outcomes: How many of them ended how, as their clients saw it.
        with_event: How many have an event.
        lost: Correlation ids of those that were answered, at least in part, and have none.
        without_event: Count of those that have neither answer nor event.
        duplicated: Correlation ids of those with events too many.
        surplus: Count of these events.
        copies: How many of them are the same event, in the index more than once.
        strangers: Count of events of no request in that range.
        some_strangers: Correlation ids of some of them.
        still_coming: Whether events kept coming until the time was over, so that one too many may have come later.
        mismatches: Requests of which client and event do not say the same.
        comparisons: Latencies by model version, and by route.
        tolerance: How far they may be apart.
    """

    start: datetime
    end: datetime
    sent: int
    outcomes: Mapping[Outcome, int]
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
    comparisons: list[Comparison]
    tolerance: Tolerance

    @property
    def apart(self) -> list[tuple[Comparison, int]]:
        """Which percentiles of which requests differ by more than the tolerance."""
        return [
            (comparison, percent)
            for comparison in self.comparisons
            for percent in PERCENTS
            if comparison.agrees(percent) is False
        ]

    @property
    def complete(self) -> bool:
        """Whether every request has its one event, with the same end."""
        return not (self.lost or self.duplicated or self.strangers or self.mismatches)

    @property
    def matches(self) -> bool:
        """Whether nothing at all is wrong: with no event of any request there is nothing that could be right."""
        return self.with_event > 0 and self.complete and not self.apart
