"""Figures over months: counts and sums, and percentiles as values of events, which summaries approximate."""

import math
from datetime import datetime

from tests.golden.reading import Document, Row, compute_by_version, list_values, select_status, select_stream, sum_known


def find_nearest_rank(numbers: list[float], percent: int) -> float:
    """Return the lowest number that *percent* of the numbers do not exceed."""
    return sorted(numbers)[math.ceil(percent * len(numbers) / 100) - 1]


def _compute_latency(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    timed = [each for each in select_stream(documents, "events") if "latency_seconds" in each]

    def compute_figures(each: list[Document]) -> Row:
        numbers = list_values(each, "latency_seconds")
        percentiles = {f"p{percent}_seconds": find_nearest_rank(numbers, percent) for percent in (50, 95, 99)}
        return {"requests_with_latency": len(numbers), **percentiles}

    return compute_by_version(timed, compute_figures)


def _compute_traffic(documents: list[Document], start: datetime, end: datetime) -> list[Row]:
    def compute_figures(each: list[Document]) -> Row:
        errors = len(select_status(each, "error"))
        return {
            "requests": len(each),
            "requests_per_second": len(each) / (end - start).total_seconds(),
            "errors": errors,
            "error_rate": errors / len(each),
            "input_tokens": sum(list_values(each, "gen_ai.usage.input_tokens")),
            "output_tokens": sum(list_values(each, "gen_ai.usage.output_tokens")),
            "cost_usd": sum_known(list_values(each, "cost_usd")),
        }

    return compute_by_version(select_stream(documents, "events"), compute_figures)


ANSWERS = {"long_range_latency": _compute_latency, "long_range_traffic": _compute_traffic}
