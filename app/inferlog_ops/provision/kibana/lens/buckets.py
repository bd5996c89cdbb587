"""Groups of the documents of a chart: values of a field, slices of time, and bands of a number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inferlog_ops.provision.kibana.lens.expressions import Aggregate, compile_columns, count


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    One group for each value of a field, those with the most documents first.

    Attributes:
        field: Field of the documents.
        size: Maximum number of groups.
        order: Figure that ranks the groups, the highest first; None ranks them by their number of documents.
        complete: Whether all other documents, and those without a value, are groups as well. Lens adds the latter
            only together with the former.
    """

    field: str
    size: int = 100
    order: Aggregate | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSlices:
    """One group for each slice of time, whose width Kibana chooses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """One group for each band of a number; *starts* are ascending, and the last band has no end."""

    field: str
    starts: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingDocuments:
    """One group: the documents that match *kql*."""

    kql: str


Bucket = Terms | TimeSlices | Bands | MatchingDocuments


def compile_bucket(bucket: Bucket, label: str, number_format: Any = None) -> dict[str, Any]:
    """Return the Lens column of *bucket*."""
    match bucket:
        case Terms():
            return _build_terms_column(bucket, label)
        case TimeSlices():
            return {
                "label": label,
                "customLabel": True,
                "dataType": "date",
                "operationType": "date_histogram",
                "sourceField": "@timestamp",
                "isBucketed": True,
                "scale": "interval",
                "params": {"interval": "auto", "includeEmptyRows": True, "dropPartials": False},
            }
        case Bands():
            return _build_bands_column(bucket, label, number_format)
        case MatchingDocuments(kql=kql):
            return {
                "label": label,
                "customLabel": True,
                "dataType": "string",
                "operationType": "filters",
                "isBucketed": True,
                "scale": "ordinal",
                "params": {"filters": [{"label": label, "input": {"query": kql, "language": "kuery"}}]},
            }


def _build_terms_column(terms: Terms, label: str) -> dict[str, Any]:
    rank = next(iter(compile_columns("rank", terms.order or count(), "rank").values()))
    params: dict[str, Any] = {
        "size": terms.size,
        "orderBy": {"type": "custom"},
        "orderAgg": rank,
        "orderDirection": "desc",
        "otherBucket": terms.complete,
        "missingBucket": terms.complete,
        "parentFormat": {"id": "terms"},
        "include": [],
        "exclude": [],
        "includeIsRegex": False,
        "excludeIsRegex": False,
    }
    return {
        "label": label,
        "customLabel": True,
        "dataType": "string",
        "operationType": "terms",
        "scale": "ordinal",
        "sourceField": terms.field,
        "isBucketed": True,
        "params": params,
    }


def _build_bands_column(bands: Bands, label: str, number_format: Any) -> dict[str, Any]:
    ends: Sequence[float | None] = (*bands.starts[1:], None)
    ranges = [{"from": start, "to": end, "label": ""} for start, end in zip(bands.starts, ends, strict=True)]
    return {
        "label": label,
        "customLabel": True,
        "dataType": "string",
        "operationType": "range",
        "sourceField": bands.field,
        "isBucketed": True,
        "scale": "ordinal",
        "params": {
            "type": "range",
            "ranges": ranges,
            "maxBars": "auto",
            "includeEmptyRows": True,
            "parentFormat": {"id": "range", "params": {"template": "arrow_right", "replaceInfinity": True}},
            **({"format": number_format} if number_format else {}),
        },
    }
