"""Output of a version comparison: JSON, a table, and sentences."""

from typing import Any

from rich.table import Table
from rich.text import Text

from inferlog_ops.core.console import escape_control
from inferlog_ops.query.compare.comparison import CONFIDENCE, NEEDED, JudgedFigure, Verdict, VersionComparison
from inferlog_ops.query.compare.figures import FEWEST, FEWEST_OF_PERCENTILE, ComparedFigure
from inferlog_ops.query.compare.samples import Sample

_STYLES = {Verdict.WORSE: "red", Verdict.BETTER: "green", Verdict.TOO_FEW: "yellow", Verdict.SAME: ""}
_DISPLAY_UNITS = {"share": "%", "count": ""}
_NONE = "-"


def as_json(comparison: VersionComparison, first: Sample, second: Sample) -> dict[str, Any]:
    """Return *comparison* as JSON values: shares from 0 to 1, null if unknown."""
    return {
        "first": _describe_sample(first),
        "second": _describe_sample(second),
        "confidence": CONFIDENCE,
        "margin": comparison.margin,
        "figures": [_describe_figure(each) for each in comparison.figures],
        "verdict": comparison.verdict,
    }


def as_table(comparison: VersionComparison, first: Sample, second: Sample) -> Table:
    """Return *comparison* as a table with one figure per row and its unit in brackets."""
    table = Table("figure", box=None, pad_edge=False, header_style="bold")
    for sample in (first, second):
        table.add_column(Text(escape_control(sample.model_version)), justify="right")
    for title in ("difference", "", f"{CONFIDENCE:.0%} interval"):
        table.add_column(title, justify="right")
    table.add_column("verdict")
    for judged in comparison.figures:
        table.add_row(*_format_cells(judged))
    return table


def list_findings(comparison: VersionComparison, first: Sample, second: Sample) -> list[str]:
    """Return the sentences below the table, the verdict first."""
    sentences = [_describe_verdict(comparison, first, second)]
    unsure = [judged.figure.name for judged in comparison.figures if not judged.sure]
    if unsure:
        sentences.append(
            f"Not part of the overall verdict, as one of many figures may differ by chance: {', '.join(unsure)}."
        )
    if any(judged.verdict is Verdict.TOO_FEW for judged in comparison.figures):
        wanted = ", ".join(f"a p{100 * fraction:.0f} {least}" for fraction, least in FEWEST_OF_PERCENTILE.items())
        sentences.append(
            f"Minimum requests of each version for a verdict: {wanted}, other figures {FEWEST}; and enough to rule out "
            "that V2 is worse by half (in the error rate: by 0.01, if that is more)."
        )
    sentences += [
        f"Random sample: {sample.drawn:,} of the {sample.counts.requests:,} requests of "
        f"{escape_control(sample.model_version)}; counts and error rate cover all of them."
        for sample in (first, second)
        if sample.drawn < sample.counts.requests
    ]
    return sentences


def _describe_verdict(comparison: VersionComparison, first: Sample, second: Sample) -> str:
    one, other = (escape_control(sample.model_version) for sample in (first, second))
    if comparison.verdict is Verdict.SAME:
        beyond = f" beyond the margin of {comparison.margin:.3g}" if comparison.margin else ""
        return f"No difference{beyond} between {one} and {other}."
    if comparison.verdict is Verdict.TOO_FEW:
        undecided = [judged.figure.name for judged in comparison.figures if judged.is_undecided]
        needed = ", ".join(name for name in undecided if name in NEEDED)
        return f"Too few requests to decide if {other} is worse than {one}; undecided: {needed}."
    shows = (judged for judged in comparison.figures if judged.sure and judged.verdict is comparison.verdict)
    return f"{other} is {comparison.verdict} than {one}: {', '.join(judged.figure.name for judged in shows)}."


def _format_cells(judged: JudgedFigure) -> tuple[str | Text, ...]:
    figure = judged.figure
    relative, interval = figure.relative_difference, judged.interval
    return (
        _format_title(figure),
        _format_value(figure, figure.first),
        _format_value(figure, figure.second),
        _format_value(figure, figure.difference, sign="+"),
        _NONE if relative is None else f"{relative:+.1%}",
        _NONE
        if interval is None
        else " … ".join(_format_value(figure, end, sign="+") for end in (interval.low, interval.high)),
        Text(_NONE) if judged.verdict is None else Text(judged.verdict, style=_STYLES[judged.verdict]),
    )


def _format_title(figure: ComparedFigure) -> str:
    unit = _DISPLAY_UNITS.get(figure.unit, figure.unit)
    return f"{figure.name} ({unit})" if unit else figure.name


def _format_value(figure: ComparedFigure, value: float | None, *, sign: str = "") -> str:
    if value is None:
        return _NONE
    match figure.unit:
        case "share":
            return f"{100 * value:{sign}.3f}"
        case "count":
            return f"{value:{sign},.0f}"
        case "1/s":
            return f"{value:{sign},.2f}"
        case _:
            return f"{value:{sign}.4f}"


def _describe_sample(sample: Sample) -> dict[str, Any]:
    return {"model_version": sample.model_version, "requests": sample.counts.requests, "drawn": sample.drawn}


def _describe_figure(judged: JudgedFigure) -> dict[str, Any]:
    figure, interval = judged.figure, judged.interval
    return {
        "name": figure.name,
        "unit": figure.unit,
        "first": figure.first,
        "second": figure.second,
        "difference": figure.difference,
        "relative_difference": figure.relative_difference,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "verdict": judged.verdict,
        "sure": judged.sure if judged.verdict else None,
    }
