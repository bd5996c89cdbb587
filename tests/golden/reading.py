"""Helpers of the answers: fields, times, groups, percentiles."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]
Row = dict[str, Any]


def get(document: Document, field: str) -> Any:
    """Return the value at a dotted path, or None."""
    if field in document:
        return document[field]
    value: Any = document
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def list_values(documents: Iterable[Document], field: str) -> list[Any]:
    """Return the values of *field* in the documents that have it."""
    return [value for document in documents if (value := get(document, field)) is not None]


def select_stream(documents: Iterable[Document], stream: str) -> list[Document]:
    return [document for document in documents if document["event"]["dataset"] == f"inference.{stream}"]


def group_by(documents: Iterable[Document], *fields: str) -> dict[tuple[Any, ...], list[Document]]:
    """Return the documents by their values of *fields*; None if missing."""
    groups: defaultdict[tuple[Any, ...], list[Document]] = defaultdict(list)
    for document in documents:
        groups[tuple(get(document, field) for field in fields)].append(document)
    return groups


def compute_by_version(documents: list[Document], figures: Callable[[list[Document]], Row]) -> list[Row]:
    """Return *figures* of the documents of each model version."""
    groups: defaultdict[str, list[Document]] = defaultdict(list)
    for document in documents:
        groups[document.get("model_version", "(none)")].append(document)
    return [{"model_version": version, **figures(inside)} for version, inside in sorted(groups.items())]


def select_status(documents: Iterable[Document], status: str) -> list[Document]:
    """Return those documents that ended with *status*."""
    return [document for document in documents if document["status"] == status]


def compute_percentile(numbers: list[float], percent: int) -> float | None:
    """Return the linear interpolation between the two closest ranks, or None without numbers."""
    if not numbers:
        return None
    ordered = sorted(numbers)
    rank = percent / 100 * (len(ordered) - 1)
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


def compute_percentiles(documents: list[Document], field: str, *percents: int) -> Row:
    """Return p50, p95 and p99 of *field*, or the given *percents*."""
    numbers = list_values(documents, field)
    return {f"p{percent}_seconds": compute_percentile(numbers, percent) for percent in percents or (50, 95, 99)}


def compute_mean(numbers: list[float]) -> float | None:
    """Return the arithmetic mean, or None without numbers."""
    return sum(numbers) / len(numbers) if numbers else None


def sum_known(numbers: Iterable[float | None]) -> float | None:
    """Return the sum of the known values, or None."""
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def find_highest(numbers: Iterable[float | None]) -> float | None:
    """Return the highest of the known values, or None."""
    return max((number for number in numbers if number is not None), default=None)


def get_time(document: Document) -> datetime:
    """Return the document's ``@timestamp``."""
    return datetime.fromisoformat(document["@timestamp"])


def format_iso(moment: datetime) -> str:
    """Format *moment* as the library does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def format_shortest(moment: datetime) -> str:
    """Format *moment* as ES|QL does: milliseconds, then further digits unless zero."""
    fraction = f"{moment.microsecond:06d}"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction[:3]}{fraction[3:].rstrip('0')}Z"
