"""Latency of requests, and its parts."""

from collections import Counter
from datetime import datetime

from tests.golden.reading import (
    Document,
    Row,
    compute_by_version,
    compute_percentiles,
    group_by,
    list_values,
    select_status,
    select_stream,
)

_BANDS_SECONDS = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def _answer_p99_latency(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    return compute_by_version(select_stream(documents, "events"), _compute_count_and_percentiles)


def _answer_p99_alone(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    return compute_by_version(
        select_stream(documents, "events"),
        lambda each: {"p99_seconds": compute_percentiles(each, "latency_seconds")["p99_seconds"]},
    )


def _answer_p99_latency_of_successes(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    return compute_by_version(
        select_status(select_stream(documents, "events"), "success"), _compute_count_and_percentiles
    )


def _compute_count_and_percentiles(documents: list[Document]) -> Row:
    return {"requests": len(documents), **compute_percentiles(documents, "latency_seconds")}


def _answer_time_to_first_token(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    field = "time_to_first_token_seconds"
    streams = [each for each in select_stream(documents, "events") if field in each]
    return compute_by_version(streams, lambda each: {"requests": len(each), **compute_percentiles(each, field)})


def _answer_latency_bands(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    latencies = list_values(select_stream(documents, "events"), "latency_seconds")
    counted = Counter(max(band for band in _BANDS_SECONDS if band <= latency) for latency in latencies)
    return [{"from_seconds": band, "requests": requests} for band, requests in sorted(counted.items())]


def _answer_time_spent(documents: list[Document], _start: datetime, _end: datetime) -> list[Row]:
    timed = [each for each in select_stream(documents, "events") if "latency_seconds" in each]
    rows = []
    for (service, version), inside in group_by(timed, "service.name", "model_version").items():
        whole, queue, model = (
            sum(list_values(inside, field)) / len(inside)
            for field in ("latency_seconds", "queue_seconds", "model_latency_seconds")
        )
        rows.append(
            {
                "served_by": f"{service} · {version or '(none)'}",
                "service.name": service,
                "model_version": version or "(none)",
                "requests": len(inside),
                "latency_seconds": whole,
                "queue_seconds": queue,
                "model_seconds": model,
                "other_seconds": whole - queue - model,
            }
        )
    return sorted(rows, key=lambda row: (row["service.name"], row["model_version"]))


ANSWERS = {
    "p99_latency": _answer_p99_latency,
    "p99_alone": _answer_p99_alone,
    "p99_latency_of_successes": _answer_p99_latency_of_successes,
    "time_to_first_token": _answer_time_to_first_token,
    "latency_bands": _answer_latency_bands,
    "time_spent": _answer_time_spent,
}
