"""Two model versions side by side. The intervals are scipy's, or follow their textbook definition: see below."""

from datetime import datetime
from math import sqrt
from typing import Any

import numpy as np
from scipy import stats

from golden.reading import Document, Row, grouped, of_stream, percentile, shortest, values, when
from golden.traffic import error_figures

_Z = stats.norm.ppf(0.975)


def wilson(errors: int, requests: int) -> tuple[float, float]:
    """Return the 95 % interval of Wilson, as scipy computes it."""
    interval = stats.binomtest(errors, requests).proportion_ci(confidence_level=0.95, method="wilson")
    return interval.low, interval.high


def newcombe(canary: tuple[int, int], stable: tuple[int, int]) -> tuple[float, float]:
    """
    Return the 95 % interval of the difference of two error rates, each given as errors and requests.

    Newcombe 1998, method 10: the square-and-add of the distances to the ends of Wilson's intervals.
    """
    (canary_low, canary_high), (stable_low, stable_high) = wilson(*canary), wilson(*stable)
    canary_rate, stable_rate = canary[0] / canary[1], stable[0] / stable[1]
    difference = canary_rate - stable_rate
    down = np.hypot(canary_rate - canary_low, stable_high - stable_rate)
    up = np.hypot(canary_high - canary_rate, stable_rate - stable_low)
    return float(difference - down), float(difference + up)


def _canary_versions(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    versions = _versions(documents)
    if not versions:
        return []
    stable, canary = _roles(versions)
    requests = sum(len(inside) for inside in versions.values())
    places = {stable: 0, canary: 1}
    ranked = sorted(
        versions.items(), key=lambda item: (places.get(item[0], 2), -_first_seen(item[1]).timestamp(), item[0])
    )
    rows = []
    for version, inside in ranked:
        errors = error_figures(inside)
        low, high = wilson(errors["errors"], len(inside))
        rows.append(
            {
                "model_version": version,
                "role": "stable" if version == stable else "canary" if version == canary else "-",
                "requests": len(inside),
                "request_share": len(inside) / requests,
                "first_seen": shortest(_first_seen(inside)),
                "last_seen": shortest(max(when(each) for each in inside)),
                "errors": errors["errors"],
                "error_rate": errors["error_rate"],
                "error_rate_low": low,
                "error_rate_high": high,
            }
        )
    return rows


def _canary_comparison(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    versions = _versions(documents)
    if not versions:
        return []
    stable, canary = _roles(versions)
    old, new = versions[stable], versions.get(canary, [])
    rows = [
        _error_rates(old, new),
        _means(old, new),
        _percentiles("p50 latency", "latency_seconds", 50, old, new, enough=30),
        _percentiles("p95 latency", "latency_seconds", 95, old, new, enough=100),
        _percentiles("p99 latency", "latency_seconds", 99, old, new, enough=500),
        _percentiles("p50 to first token", "time_to_first_token_seconds", 50, old, new, enough=30),
        _costs(old, new),
    ]
    return [
        {**row, "stable_version": stable, "canary_version": canary}
        for row in rows
        if row["stable"] is not None or row["canary"] is not None
    ]


def _versions(documents: list[Document]) -> dict[Any, list[Document]]:
    named = [each for each in of_stream(documents, "events") if "model_version" in each]
    return {version: inside for (version,), inside in grouped(named, "model_version").items()}


def _roles(versions: dict[Any, list[Document]]) -> tuple[str, str | None]:
    """Return the version with the most requests, and of the others the one that was first seen last."""
    stable = max(versions, key=lambda version: (len(versions[version]), -_first_seen(versions[version]).timestamp()))
    others = [version for version in versions if version != stable]
    return stable, max(others, key=lambda version: _first_seen(versions[version]), default=None)


def _first_seen(documents: list[Document]) -> datetime:
    return min(when(each) for each in documents)


def _error_rates(old: list[Document], new: list[Document]) -> Row:
    stable, canary = ((_errors(each), len(each)) for each in (old, new))
    row = _row("error rate", "%", 100 * stable[0] / stable[1], 100 * canary[0] / canary[1] if new else None)
    low, high = (100 * end for end in newcombe(canary, stable)) if new else (None, None)
    return {**row, "low": low, "high": high, "verdict": _by_interval(low, high, min(len(old), len(new)))}


def _errors(documents: list[Document]) -> int:
    return int(error_figures(documents)["errors"]) if documents else 0


def _means(old: list[Document], new: list[Document]) -> Row:
    stable, canary = values(old, "latency_seconds"), values(new, "latency_seconds")
    row = _row("mean latency", "s", _mean(stable), _mean(canary))
    low = high = None
    if len(stable) > 1 and len(canary) > 1:
        reach = _Z * sqrt(np.var(stable, ddof=1) / len(stable) + np.var(canary, ddof=1) / len(canary))
        low, high = row["difference"] - reach, row["difference"] + reach
    return {**row, "low": low, "high": high, "verdict": _by_interval(low, high, min(len(stable), len(canary)))}


def _mean(numbers: list[float]) -> float | None:
    return float(np.mean(numbers)) if numbers else None


def _percentiles(figure: str, field: str, percent: int, old: list[Document], new: list[Document], enough: int) -> Row:
    stable, canary = values(old, field), values(new, field)
    row = _row(figure, "s", percentile(stable, percent), percentile(canary, percent))
    return {**row, "low": None, "high": None, "verdict": _by_a_tenth(row, min(len(stable), len(canary)), enough)}


def _costs(old: list[Document], new: list[Document]) -> Row:
    stable, canary = values(old, "cost_usd"), values(new, "cost_usd")
    each = [1000 * sum(costs) / len(costs) if costs else None for costs in (stable, canary)]
    row = _row("cost of 1 000 requests", "US$", *each)
    return {**row, "low": None, "high": None, "verdict": _by_a_tenth(row, min(len(stable), len(canary)), 30)}


def _row(figure: str, unit: str, stable: float | None, canary: float | None) -> Row:
    difference = canary - stable if canary is not None and stable is not None else None
    return {"figure": figure, "unit": unit, "stable": stable, "canary": canary, "difference": difference}


def _by_interval(low: float | None, high: float | None, fewest: int) -> str:
    if fewest < 30 or low is None or high is None:
        return "too few"
    return "worse" if low > 0 else "better" if high < 0 else "same"


def _by_a_tenth(row: Row, fewest: int, enough: int) -> str:
    if fewest < enough or row["difference"] is None:
        return "too few"
    ratio = row["canary"] / row["stable"]
    return "worse" if ratio > 1.1 else "better" if ratio < 0.9 else "same"


ANSWERS = {"canary_versions": _canary_versions, "canary_comparison": _canary_comparison}
