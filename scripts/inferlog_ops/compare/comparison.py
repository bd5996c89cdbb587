"""Judges the figures of two versions: worse, same, better or too few, each and over all. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from inferlog_ops.compare.figures import ERROR_RATE, LATENCY_P99, Chance, Figure, Wanted, figures
from inferlog_ops.compare.intervals import Interval
from inferlog_ops.compare.sample import Sample

CONFIDENCE = 0.95

NEEDED = (LATENCY_P99, ERROR_RATE)
"""What a service promises first: unless these can be judged, nothing is called the same or better over all."""


class Verdict(StrEnum):
    """What the second version is, measured by the first."""

    WORSE = "worse"
    SAME = "same"
    """No difference has shown. How large one may have stayed hidden, the interval says."""
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
        sure: Whether the verdict is still the same by an interval so wide that those of all figures together hold the
            truth with 95 % confidence. Of ten figures one differs by chance often enough.
    """

    figure: Figure
    interval: Interval | None
    verdict: Verdict | None
    sure: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    All figures, and the verdict over all of them.

    Attributes:
        figures: In the order to be shown.
        verdict: Worse if one of the figures surely is; else too few if the p99 of the latency or the error rate cannot
            be judged; else better if one of the figures surely is; else the same.
        margin: Differences up to this share of the first version's value counted as none.
    """

    figures: list[Judged]
    verdict: Verdict
    margin: float


def compare(first: Sample, second: Sample, span_seconds: float, chance: Chance, margin: float = 0.0) -> Comparison:
    """
    Compare *second* with *first*.

    Args:
        first: One version's requests; one at least.
        second: The other's.
        span_seconds: Length of the range that both lie in.
        chance: Where the resamples come from.
        margin: Differences up to this share of the first version's value count as none.
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
    if any(each.figure.name in NEEDED and each.verdict is Verdict.TOO_FEW for each in judged):
        return Verdict.TOO_FEW
    return Verdict.BETTER if Verdict.BETTER in sure else Verdict.SAME


def _is_known(figure: Figure) -> bool:
    """Leave out what neither version has, such as the cost where there is no price table; but never what is needed."""
    return figure.first is not None or figure.second is not None or figure.name in NEEDED


def _judged(figure: Figure, strict: float, margin: float) -> Judged:
    verdict = _verdict(figure, CONFIDENCE, margin)
    return Judged(
        figure=figure,
        interval=figure.uncertainty.interval(CONFIDENCE) if figure.uncertainty else None,
        verdict=verdict,
        sure=verdict is _verdict(figure, strict, margin),
    )


def _verdict(figure: Figure, confidence: float, margin: float) -> Verdict | None:
    if figure.wanted is None:
        return None
    if figure.uncertainty is None or figure.first is None:
        return Verdict.TOO_FEW
    interval = figure.uncertainty.interval(confidence)
    allowed = margin * abs(figure.first)
    lower, higher = interval.high < -allowed, interval.low > allowed
    if not lower and not higher:
        return Verdict.SAME
    return Verdict.BETTER if lower == (figure.wanted is Wanted.LOWER) else Verdict.WORSE
