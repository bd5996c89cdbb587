"""Comparison of two model versions, with the intervals of scipy."""

from datetime import datetime
from typing import Any

import numpy as np
from scipy import stats

from tests.golden.reading import (
    Document,
    Row,
    compute_percentile,
    format_shortest,
    get_time,
    group_by,
    list_values,
    select_stream,
)
from tests.golden.traffic import compute_error_figures

_Z = stats.norm.ppf(0.975)
_ENOUGH = {50: 30, 95: 100, 99: 500}  # requests for a percentile
_FIRST_TOKEN = "time_to_first_token_seconds"


def compute_wilson_interval(errors: int, requests: int) -> tuple[float, float]:
    """Return the 95 % interval of Wilson, as scipy computes it."""
    interval = stats.binomtest(errors, requests).proportion_ci(confidence_level=0.95, method="wilson")
    return interval.low, interval.high


def compute_newcombe_interval(canary: tuple[int, int], stable: tuple[int, int]) -> tuple[float, float]:
    """
    Return the 95 % interval of the difference of two error rates, each given as errors and requests.

    Newcombe 1998, method 10: the square-and-add of the distances to the ends of Wilson's intervals.
    """
    (canary_low, canary_high), (stable_low, stable_high) = (
        compute_wilson_interval(*canary),
        compute_wilson_interval(*stable),
    )
    canary_rate, stable_rate = canary[0] / canary[1], stable[0] / stable[1]
    difference = canary_rate - stable_rate
    down = np.hypot(canary_rate - canary_low, stable_high - stable_rate)
    up = np.hypot(canary_high - canary_rate, stable_rate - stable_low)
    return float(difference - down), float(difference + up)


def _answer_canary_versions(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    versions = _group_by_version(documents)
    if not versions:
        return []
    stable, canary = _assign_roles(versions)
    requests = sum(len(inside) for inside in versions.values())
    places = {stable: 0, canary: 1}
    ranked = sorted(
        versions.items(), key=lambda item: (places.get(item[0], 2), -_find_first_seen(item[1]).timestamp(), item[0])
    )
    rows = []
    for version, inside in ranked:
        errors = compute_error_figures(inside)
        low, high = compute_wilson_interval(errors["errors"], len(inside))
        rows.append(
            {
                "model_version": version,
                "role": "stable" if version == stable else "canary" if version == canary else "-",
                "requests": len(inside),
                "request_share": len(inside) / requests,
                "first_seen": format_shortest(_find_first_seen(inside)),
                "last_seen": format_shortest(max(get_time(each) for each in inside)),
                "errors": errors["errors"],
                "error_rate": errors["error_rate"],
                "error_rate_low": low,
                "error_rate_high": high,
            }
        )
    return rows


def _answer_canary_comparison(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    versions = _group_by_version(documents)
    if not versions:
        return []
    stable, canary = _assign_roles(versions)
    old, new = versions[stable], versions.get(canary, [])
    rows = [
        _compare_error_rates(old, new),
        _compare_means("mean latency", "s", list_values(old, "latency_seconds"), list_values(new, "latency_seconds")),
        *(
            _compare_percentiles(percent, list_values(old, "latency_seconds"), list_values(new, "latency_seconds"))
            for percent in _ENOUGH
        ),
        _compare_means("mean time to first token", "s", list_values(old, _FIRST_TOKEN), list_values(new, _FIRST_TOKEN)),
        _compare_means("cost of 1 000 requests", "US$", _list_costs(old), _list_costs(new)),
    ]
    return [
        {**row, "stable_version": stable, "canary_version": canary}
        for row in rows
        if row["stable"] is not None or row["canary"] is not None
    ]


def _group_by_version(documents: list[Document]) -> dict[Any, list[Document]]:
    named = [each for each in select_stream(documents, "events") if "model_version" in each]
    return {version: inside for (version,), inside in group_by(named, "model_version").items()}


def _assign_roles(versions: dict[Any, list[Document]]) -> tuple[str, str | None]:
    """Return the version with the most requests, and of the others the one with the latest first event."""
    stable = max(
        versions, key=lambda version: (len(versions[version]), -_find_first_seen(versions[version]).timestamp())
    )
    others = [version for version in versions if version != stable]
    return stable, max(others, key=lambda version: _find_first_seen(versions[version]), default=None)


def _find_first_seen(documents: list[Document]) -> datetime:
    return min(get_time(each) for each in documents)


def _compare_error_rates(old: list[Document], new: list[Document]) -> Row:
    stable, canary = ((_count_errors(each), len(each)) for each in (old, new))
    row = _build_row("error rate", "%", 100 * stable[0] / stable[1], 100 * canary[0] / canary[1] if new else None)
    low, high = (100 * end for end in compute_newcombe_interval(canary, stable)) if new else (None, None)
    return {
        **row,
        "low": low,
        "high": high,
        "verdict": _judge(row, low, high, min(len(old), len(new)), least_room=1.0),
    }


def _count_errors(documents: list[Document]) -> int:
    return int(compute_error_figures(documents)["errors"]) if documents else 0


def _list_costs(documents: list[Document]) -> list[float]:
    return [1000 * cost for cost in list_values(documents, "cost_usd")]


def _compare_means(figure: str, unit: str, stable: list[float], canary: list[float]) -> Row:
    row = _build_row(figure, unit, _compute_mean(stable), _compute_mean(canary))
    low = high = None
    if min(len(stable), len(canary)) > 1:
        reach = _Z * np.hypot(stats.sem(stable), stats.sem(canary))
        low, high = row["difference"] - reach, row["difference"] + reach
    verdict = _judge(row, low, high, min(len(stable), len(canary)), apart=0.05)
    return {**row, "low": low, "high": high, "verdict": verdict}


def _compute_mean(numbers: list[float]) -> float | None:
    return float(np.mean(numbers)) if numbers else None


def _compare_percentiles(percent: int, stable: list[float], canary: list[float]) -> Row:
    row = _build_row(
        f"p{percent} latency", "s", compute_percentile(stable, percent), compute_percentile(canary, percent)
    )
    low = high = None
    if min(len(stable), len(canary)) > 1:
        reach = _Z * np.hypot(_estimate_error_of_log(percent, stable), _estimate_error_of_log(percent, canary))
        low, high = (row["canary"] * np.exp(side * reach) - row["stable"] for side in (-1, 1))
    verdict = _judge(row, low, high, min(len(stable), len(canary)), apart=0.05, enough=_ENOUGH[percent])
    return {**row, "low": low, "high": high, "verdict": verdict}


def _estimate_error_of_log(percent: int, numbers: list[float]) -> float:
    """Return the standard error of a percentile's logarithm: sqrt(q (1 - q) / n) over the density, log-normal."""
    share = percent / 100
    logarithms = np.log(np.array(numbers) + 1e-6)
    density = stats.norm(scale=np.std(logarithms)).pdf(stats.norm.ppf(share) * np.std(logarithms))
    return float(np.sqrt(share * (1 - share) / len(numbers)) / density)


def _build_row(figure: str, unit: str, stable: float | None, canary: float | None) -> Row:
    difference = canary - stable if canary is not None and stable is not None else None
    return {"figure": figure, "unit": unit, "stable": stable, "canary": canary, "difference": difference}


def _judge(
    row: Row,
    low: float | None,
    high: float | None,
    fewest: int,
    *,
    apart: float = 0.0,
    enough: int = 30,
    least_room: float = 0.0,
) -> str:
    if fewest < enough or low is None or high is None:
        return "too few"
    if abs(row["difference"]) > apart * row["stable"]:
        if low > 0:
            return "worse"
        if high < 0:
            return "better"
    return "too few" if high > max(row["stable"] / 2, least_room) else "same"


ANSWERS = {"canary_versions": _answer_canary_versions, "canary_comparison": _answer_canary_comparison}
