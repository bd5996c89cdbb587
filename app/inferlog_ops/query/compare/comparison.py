"""Verdicts on the figures of two model versions: worse, same, better or too few; each and overall. No I/O."""

from dataclasses import dataclass
from enum import StrEnum

from inferlog_ops.query.compare.figures import (
    ERROR_RATE,
    LATENCY_P99,
    BetterDirection,
    ComparedFigure,
    Resampling,
    compute_figures,
)
from inferlog_ops.query.compare.intervals import Interval
from inferlog_ops.query.compare.samples import Sample

CONFIDENCE = 0.95
MARGIN = 0.05
HARM_LIMIT_SHARE, MIN_HARM_LIMIT_OF_ERROR_RATE = 0.5, 0.01
"""A figure that may be worse by this much is not "same". Share of the first value; for the error rate, of requests."""

NEEDED = (LATENCY_P99, ERROR_RATE)
"""The main service levels: while one of them is undecided, the overall verdict is never same or better."""


class Verdict(StrEnum):
    """The second version compared with the first."""

    WORSE = "worse"
    SAME = "same"
    """No difference beyond the margin, and the second version cannot be much worse."""
    BETTER = "better"
    TOO_FEW = "too few"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFigure:
    """
    One figure with its verdict.

    Attributes:
        figure: The judged figure.
        interval: 95 % confidence interval of the difference; None if too few, or if the figure is not judged.
        verdict: Verdict by that interval; None for a figure that is not judged.
        sure: Whether a verdict of worse or better also holds with the Bonferroni-corrected interval, which covers all
            figures together with 95 % confidence. True for every other verdict.
    """

    figure: ComparedFigure
    interval: Interval | None
    verdict: Verdict | None
    sure: bool

    @property
    def is_undecided(self) -> bool:
        """True if more requests are needed to rule out that the second version is worse."""
        return self.verdict is Verdict.TOO_FEW or (self.verdict is Verdict.WORSE and not self.sure)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionComparison:
    """
    All figures and the overall verdict.

    Attributes:
        figures: In display order.
        verdict: Worse if a figure is surely worse; otherwise too few if latency p99 or error rate is undecided;
            otherwise better if a figure is surely better; otherwise same.
        margin: Differences up to this share of the first version's value are ignored.
    """

    figures: list[JudgedFigure]
    verdict: Verdict
    margin: float


def compare_samples(
    first: Sample, second: Sample, span_seconds: float, resampling: Resampling, margin: float = MARGIN
) -> VersionComparison:
    """
    Compare *second* with *first*.

    Args:
        first: Requests of the baseline; at least one.
        second: Requests of the judged version; at least one.
        span_seconds: Length of the range of both samples.
        resampling: Seed and number of resamples.
        margin: Differences up to this share of the first version's value are ignored, except in the error rate.
    """
    shown = [each for each in compute_figures(first, second, span_seconds, resampling) if _is_known(each)]
    together = sum(each.uncertainty is not None for each in shown)
    corrected_confidence = 1 - (1 - CONFIDENCE) / max(1, together)  # Bonferroni's
    judged = [_judge_figure(each, corrected_confidence, margin) for each in shown]
    return VersionComparison(figures=judged, verdict=_judge_all(judged), margin=margin)


def _judge_all(judged: list[JudgedFigure]) -> Verdict:
    sure = {each.verdict for each in judged if each.sure}
    if Verdict.WORSE in sure:
        return Verdict.WORSE
    if any(each.figure.name in NEEDED and each.is_undecided for each in judged):
        return Verdict.TOO_FEW
    return Verdict.BETTER if Verdict.BETTER in sure else Verdict.SAME


def _is_known(figure: ComparedFigure) -> bool:
    """Return whether a version has the figure (cost needs a price table), or the figure is in `NEEDED`."""
    return figure.first is not None or figure.second is not None or figure.name in NEEDED


def _judge_figure(figure: ComparedFigure, corrected_confidence: float, margin: float) -> JudgedFigure:
    if figure.better is None:
        return JudgedFigure(figure=figure, interval=None, verdict=None, sure=True)
    if figure.uncertainty is None:
        return JudgedFigure(figure=figure, interval=None, verdict=Verdict.TOO_FEW, sure=True)
    interval = figure.uncertainty.compute_interval(CONFIDENCE)
    verdict = _judge_interval(figure, interval, margin)
    differs = verdict in {Verdict.WORSE, Verdict.BETTER}
    sure = not differs or verdict is _judge_interval(
        figure, figure.uncertainty.compute_interval(corrected_confidence), margin
    )
    return JudgedFigure(figure=figure, interval=interval, verdict=verdict, sure=sure)


def _judge_interval(figure: ComparedFigure, interval: Interval, margin: float) -> Verdict:
    """Return the verdict by the rules of canary_comparison.esql, which has cruder intervals."""
    first, difference = abs(figure.first or 0.0), abs(figure.difference or 0.0)
    is_rate = figure.name == ERROR_RATE
    harm = interval if figure.better is BetterDirection.LOWER else Interval(-interval.high, -interval.low)
    if is_rate or difference > margin * first:
        if harm.low > 0:
            return Verdict.WORSE
        if harm.high < 0:
            return Verdict.BETTER
    if is_rate:
        harm_limit = max(HARM_LIMIT_SHARE * first, MIN_HARM_LIMIT_OF_ERROR_RATE)
    else:
        harm_limit = max(HARM_LIMIT_SHARE, margin) * first
    return Verdict.TOO_FEW if harm.high > harm_limit else Verdict.SAME
