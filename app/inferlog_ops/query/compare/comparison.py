"""Judges the figures of two versions: worse, same, better or too few, each and over all. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from inferlog_ops.query.compare.figures import ERROR_RATE, LATENCY_P99, Chance, Figure, Wanted, figures
from inferlog_ops.query.compare.intervals import Interval
from inferlog_ops.query.compare.sample import Sample

CONFIDENCE = 0.95
MARGIN = 0.05
ROOM, LEAST_ROOM_OF_ERROR_RATE = 0.5, 0.01
"""As a share of the first value, and of all requests: what could be so much worse is not called the same."""

NEEDED = (LATENCY_P99, ERROR_RATE)
"""What a service promises first: while one of these is open, nothing is called the same or better over all."""


class Verdict(StrEnum):
    """What the second version is, measured by the first."""

    WORSE = "worse"
    SAME = "same"
    """No difference beyond the margin has shown, and it cannot be much worse."""
    BETTER = "better"
    TOO_FEW = "too few"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """
    One figure with its verdict.

    Attributes:
        figure: What was judged.
        interval: Holds the true difference with 95 % confidence; None if too few, or if the figure is not judged.
        verdict: By that interval; None for what is not judged.
        sure: Whether a figure that is worse or better still is by an interval so wide that those of all figures
            together hold the truth with 95 % confidence. Of ten figures one differs by chance often enough.
    """

    figure: Figure
    interval: Interval | None
    verdict: Verdict | None
    sure: bool

    @property
    def open(self) -> bool:
        """Whether more requests are needed to rule out that the second version is worse."""
        return self.verdict is Verdict.TOO_FEW or (self.verdict is Verdict.WORSE and not self.sure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    All figures, and the verdict over all of them.

    Attributes:
        figures: In the order to be shown.
        verdict: Worse if one of the figures surely is; else too few if the p99 of the latency or the error rate is
            open; else better if one of the figures surely is; else the same.
        margin: Differences up to this share of the first version's value counted as none.
    """

    figures: list[Judged]
    verdict: Verdict
    margin: float


def compare(first: Sample, second: Sample, span_seconds: float, chance: Chance, margin: float = MARGIN) -> Comparison:
    """
    Compare *second* with *first*.

    Args:
        first: One version's requests; one at least.
        second: The other's.
        span_seconds: Length of the range that both lie in.
        chance: Where the resamples come from.
        margin: Differences up to this share of the first version's value count as none; not of the error rate's.
    """
    shown = [each for each in figures(first, second, span_seconds, chance) if _is_known(each)]
    together = sum(each.uncertainty is not None for each in shown)
    strict = 1 - (1 - CONFIDENCE) / max(1, together)  # Bonferroni's
    judged = [_judged(each, strict, margin) for each in shown]
    return Comparison(figures=judged, verdict=_overall(judged), margin=margin)


def _overall(judged: list[Judged]) -> Verdict:
    sure = {each.verdict for each in judged if each.sure}
    if Verdict.WORSE in sure:
        return Verdict.WORSE
    if any(each.figure.name in NEEDED and each.open for each in judged):
        return Verdict.TOO_FEW
    return Verdict.BETTER if Verdict.BETTER in sure else Verdict.SAME


def _is_known(figure: Figure) -> bool:
    """Leave out what neither version has, such as the cost where there is no price table; but never what is needed."""
    return figure.first is not None or figure.second is not None or figure.name in NEEDED


def _judged(figure: Figure, strict: float, margin: float) -> Judged:
    if figure.wanted is None:
        return Judged(figure=figure, interval=None, verdict=None, sure=True)
    if figure.uncertainty is None:
        return Judged(figure=figure, interval=None, verdict=Verdict.TOO_FEW, sure=True)
    interval = figure.uncertainty.interval(CONFIDENCE)
    verdict = _verdict(figure, interval, margin)
    differs = verdict in {Verdict.WORSE, Verdict.BETTER}
    sure = not differs or verdict is _verdict(figure, figure.uncertainty.interval(strict), margin)
    return Judged(figure=figure, interval=interval, verdict=verdict, sure=sure)


def _verdict(figure: Figure, interval: Interval, margin: float) -> Verdict:
    """Judge as canary_comparison.esql does, whose intervals are cruder."""
    first, difference = abs(figure.first or 0.0), abs(figure.difference or 0.0)
    is_rate = figure.name == ERROR_RATE
    harm = interval if figure.wanted is Wanted.LOWER else Interval(-interval.high, -interval.low)
    if is_rate or difference > margin * first:
        if harm.low > 0:
            return Verdict.WORSE
        if harm.high < 0:
            return Verdict.BETTER
    room = max(ROOM * first, LEAST_ROOM_OF_ERROR_RATE) if is_rate else max(ROOM, margin) * first
    return Verdict.TOO_FEW if harm.high > room else Verdict.SAME
