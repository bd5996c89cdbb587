"""Percentiles of the latency as client, events and dashboards have them, and whether they agree. Pure."""

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
"""Requests below which a percentile is shown and not judged."""

Percentiles = dict[int, float]
"""Seconds by percent. Empty where no request has the figure."""
Group = Literal["model_version", "http.route"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """
    How far client and dashboard may be apart: whichever of the two allows more.

    Attributes:
        share: Of the dashboard's figure.
        seconds: At any size.
    """

    share: float = 0.02
    seconds: float = 0.002

    def allows(self, difference_seconds: float, of_seconds: float) -> bool:
        """Whether a figure of *of_seconds* may be missed by *difference_seconds*."""
        return abs(difference_seconds) <= max(self.share * of_seconds, self.seconds)

    def __str__(self) -> str:
        return f"{100 * self.share:.3g} % or {1000 * self.seconds:.3g} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    The requests of one model version, or of one route, which are those of all versions.

    Attributes:
        group: What they have in common.
        name: Which version or route; ``(none)`` for those that reached none.
        requests: How many of them have an event with a latency.
        sent_late: How late the load generator was with each.
        from_due: What the client saw, from when each was due.
        from_sent: What the client saw, from when each left it.
        of_events: The latencies in the same requests' events, reckoned here.
        of_dashboard: What the query file answers.
        before_service: Client's latency from sent minus the event's, of each request that was read to its end: the way
            there and back, and the wait until the service took it.
        tolerance: By which *from_sent* and *of_dashboard* are compared.
    """

    group: Group
    name: str
    requests: int
    sent_late: Percentiles
    from_due: Percentiles
    from_sent: Percentiles
    of_events: Percentiles
    of_dashboard: Percentiles
    before_service: Percentiles
    tolerance: Tolerance

    def difference_seconds(self, percent: int) -> float | None:
        """Return the client's figure from sent minus the dashboard's; None if one of them has none."""
        if percent not in self.from_sent or percent not in self.of_dashboard:
            return None
        return self.from_sent[percent] - self.of_dashboard[percent]

    def agrees(self, percent: int) -> bool | None:
        """Say whether they are as near as the tolerance wants; None if there are too few requests to say."""
        if self.requests < FEWEST[percent]:
            return None
        difference = self.difference_seconds(percent)
        return difference is not None and self.tolerance.allows(difference, self.of_dashboard[percent])


def compared(
    matching: Matching, dashboard: Mapping[Group, Iterable[Mapping[str, Any]]], tolerance: Tolerance
) -> list[Comparison]:
    """
    Compare the requests of each group.

    Args:
        matching: Requests and their events.
        dashboard: Rows of the queries by what they group by, with the columns ``p50_seconds``, …
        tolerance: How far the two may be apart.
    """
    return [
        _comparison(matching, chosen, rows.get(name, {}), group=group, name=name, tolerance=tolerance)
        for group, answered in dashboard.items()
        for rows in [{row[group]: row for row in answered}]
        for name, chosen in _groups(matching, group)
    ]


def _groups(matching: Matching, group: Group) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each name with the requests whose event has it, and a latency."""
    numbers = matching.versions if group == "model_version" else matching.routes
    timed = ~np.isnan(matching.latency_seconds)
    found = {matching.names[number]: number for number in np.unique(numbers[timed])}
    for name in sorted(found):
        yield name, timed & (numbers == found[name])


def _comparison(
    matching: Matching,
    chosen: NDArray[np.bool_],
    row: Mapping[str, Any],
    *,
    group: Group,
    name: str,
    tolerance: Tolerance,
) -> Comparison:
    records = matching.records
    read_to_the_end = np.isin(records.outcomes, [OUTCOMES.index(outcome) for outcome in READ_TO_THE_END])
    elsewhere = records.latency_seconds - matching.latency_seconds
    return Comparison(
        group=group,
        name=name,
        requests=int(np.count_nonzero(chosen)),
        sent_late=_percentiles(records.sent_after_seconds[chosen]),
        from_due=_percentiles(records.ended_after_seconds[chosen]),
        from_sent=_percentiles(records.latency_seconds[chosen]),
        of_events=_percentiles(matching.latency_seconds[chosen]),
        of_dashboard={
            percent: row[f"p{percent}_seconds"] for percent in PERCENTS if row.get(f"p{percent}_seconds") is not None
        },
        before_service=_percentiles(elsewhere[chosen & read_to_the_end]),
        tolerance=tolerance,
    )


def _percentiles(seconds: NDArray[np.float64]) -> Percentiles:
    """Return linear interpolations between the nearest values, as ES|QL gives them."""
    if not len(seconds):
        return {}
    return dict(zip(PERCENTS, np.percentile(seconds, PERCENTS).tolist(), strict=True))
