"""Latency percentiles of client, events and dashboards, and their agreement. No I/O."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from inferlog_ops.query.compare.figures import FEWEST_OF_PERCENTILE
from inferlog_ops.query.reconcile.matching import Matching
from inferlog_ops.query.reconcile.records import OUTCOMES, READ_TO_THE_END

PERCENTS: Final = (50, 95, 99)
FEWEST: Final = {round(100 * fraction): least for fraction, least in FEWEST_OF_PERCENTILE.items()}
"""Minimum number of requests for a verdict on a percentile."""

Percentiles = dict[int, float]
"""Seconds by percent. Empty if no request has the value."""
GroupColumn = Literal["model_version", "http.route"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """
    Allowed difference between client and dashboard: the larger of both limits.

    Attributes:
        share: Relative to the dashboard's figure, 0 to 1.
        seconds: Absolute.
    """

    share: float = 0.02
    seconds: float = 0.002

    def allows(self, difference_seconds: float, of_seconds: float) -> bool:
        """Return whether *difference_seconds* is within the tolerance of a figure of *of_seconds*."""
        return abs(difference_seconds) <= max(self.share * of_seconds, self.seconds)

    def __str__(self) -> str:
        return f"{100 * self.share:.3g} % or {1000 * self.seconds:.3g} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyComparison:
    """
    Latencies of the requests of one model version, or of one route over all versions.

    Attributes:
        group: Column by which the requests are grouped.
        name: Model version or route; ``(none)`` for requests without one.
        requests: Number of requests with a latency in their event.
        sent_late: Delay of the load generator.
        from_due: Client's latency from the due time.
        from_sent: Client's latency from sending.
        of_events: Latency in the events of the same requests, exact percentiles.
        of_dashboard: Percentiles from the saved query.
        before_service: Client's latency from sending minus the event's, of requests read to the end: network,
            and the wait until the service accepts the request.
        tolerance: Tolerance of the comparison of *from_sent* with *of_dashboard*.
    """

    group: GroupColumn
    name: str
    requests: int
    sent_late: Percentiles
    from_due: Percentiles
    from_sent: Percentiles
    of_events: Percentiles
    of_dashboard: Percentiles
    before_service: Percentiles
    tolerance: Tolerance

    def compute_difference_seconds(self, percent: int) -> float | None:
        """Return *from_sent* minus *of_dashboard* at *percent*; None if either is missing."""
        if percent not in self.from_sent or percent not in self.of_dashboard:
            return None
        return self.from_sent[percent] - self.of_dashboard[percent]

    def agrees(self, percent: int) -> bool | None:
        """Return whether both agree within the tolerance; None with too few requests."""
        if self.requests < FEWEST[percent]:
            return None
        difference = self.compute_difference_seconds(percent)
        return difference is not None and self.tolerance.allows(difference, self.of_dashboard[percent])


def compare_latencies(
    matching: Matching, dashboard: Mapping[GroupColumn, Iterable[Mapping[str, Any]]], tolerance: Tolerance
) -> list[LatencyComparison]:
    """
    Compare the requests of each group.

    Args:
        matching: Requests and their events.
        dashboard: Rows of the queries by group, with the columns ``p50_seconds``, …
        tolerance: Allowed difference.
    """
    return [
        _compare_group(matching, chosen, rows.get(name, {}), group=group, name=name, tolerance=tolerance)
        for group, answered in dashboard.items()
        for rows in [{row[group]: row for row in answered}]
        for name, chosen in _split_into_groups(matching, group)
    ]


def _split_into_groups(matching: Matching, group: GroupColumn) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each name with a mask of its requests that have a latency in their event."""
    numbers = matching.versions if group == "model_version" else matching.routes
    timed = ~np.isnan(matching.latency_seconds)
    found = {matching.names[number]: number for number in np.unique(numbers[timed])}
    for name in sorted(found):
        yield name, timed & (numbers == found[name])


def _compare_group(
    matching: Matching,
    chosen: NDArray[np.bool_],
    row: Mapping[str, Any],
    *,
    group: GroupColumn,
    name: str,
    tolerance: Tolerance,
) -> LatencyComparison:
    records = matching.records
    read_to_the_end = np.isin(records.outcomes, [OUTCOMES.index(outcome) for outcome in READ_TO_THE_END])
    elsewhere = records.latency_seconds - matching.latency_seconds
    return LatencyComparison(
        group=group,
        name=name,
        requests=int(np.count_nonzero(chosen)),
        sent_late=_compute_percentiles(records.sent_after_seconds[chosen]),
        from_due=_compute_percentiles(records.ended_after_seconds[chosen]),
        from_sent=_compute_percentiles(records.latency_seconds[chosen]),
        of_events=_compute_percentiles(matching.latency_seconds[chosen]),
        of_dashboard={
            percent: row[f"p{percent}_seconds"] for percent in PERCENTS if row.get(f"p{percent}_seconds") is not None
        },
        before_service=_compute_percentiles(elsewhere[chosen & read_to_the_end]),
        tolerance=tolerance,
    )


def _compute_percentiles(seconds: NDArray[np.float64]) -> Percentiles:
    """Return percentiles by linear interpolation, as in ES|QL."""
    if not len(seconds):
        return {}
    return dict(zip(PERCENTS, np.percentile(seconds, PERCENTS).tolist(), strict=True))
