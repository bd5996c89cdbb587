"""
Execution of Lens charts over documents in plain Python: what Kibana computes from the columns of a saved chart.

Covers what the charts of inferlog use, and raises for anything else.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.golden.reading import Document, compute_percentile, get, group_by, list_values

Columns = Mapping[str, Mapping[str, Any]]
LensRow = dict[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = {"s": 1, "h": 3600}
_CONDITION = re.compile(r'([@\w.]+): (?:\*|"([^"]*)"|\(("[^"]*"(?: or "[^"]*")*)\))')
_ALTERNATIVE = re.compile(r" or (?=[@\w.]+: )")


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(low, value), high) if low <= high else math.nan


def _divide(one: float, other: float) -> float:
    return one / other if other else math.nan


def _take_square_root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


# Of an error, Lens makes a missing figure; it is NaN here.
MATH: dict[str, Callable[..., Any]] = {
    "add": lambda *each: math.fsum(each),
    "subtract": lambda one, other: one - other,
    "multiply": lambda *each: math.prod(each),
    "divide": _divide,
    "abs": abs,
    "sqrt": _take_square_root,
    "clamp": _clamp,
    "pick_max": max,
    "pick_min": min,
}


def execute(columns: Columns, documents: list[Document], *, kql: str = "", range_seconds: float = 1.0) -> list[LensRow]:
    """Return a row for each group of the terms in *columns*: the group's values and the figures by column id."""
    terms = {key: column["sourceField"] for key, column in columns.items() if column["operationType"] == "terms"}
    groups = group_by([each for each in documents if matches(each, kql)], *terms.values())
    rows = [dict(zip(terms, key, strict=True)) for key in groups]
    for key in _sort_columns(columns):
        column = columns[key]
        for row, inside in zip(rows, groups.values(), strict=True):
            if "sourceField" in column and key not in terms:
                row[key] = aggregate(column, inside, range_seconds)
            elif column["operationType"] == "math":
                row[key] = calculate(column["params"]["tinymathAst"], row)
            elif column["operationType"] == "formula":
                row[key] = row[column["references"][0]]
        if column["operationType"].startswith("overall_"):
            known = [value for row in rows if (value := row[column["references"][0]]) is not None]
            combined = math.fsum(known) if column["operationType"] == "overall_sum" else min(known)
            for row in rows:
                row[key] = combined
    return rows


def calculate(tree: Any, figures: Mapping[str, Any]) -> Any:
    """Return the value of a tinymath tree; a missing figure makes everything but ``defaults`` missing."""
    if isinstance(tree, str):
        return figures[tree]
    if not isinstance(tree, dict):
        return tree
    arguments = [calculate(each, figures) for each in tree["args"]]
    if tree["name"] == "defaults":
        return arguments[1] if arguments[0] is None else arguments[0]
    if any(each is None for each in arguments):
        return None
    return MATH[tree["name"]](*arguments)


def aggregate(column: Mapping[str, Any], documents: list[Document], range_seconds: float) -> Any:
    """Return the figure that Elasticsearch computes for *column*."""
    inside = [each for each in documents if matches(each, column.get("filter", {}).get("query", ""))]
    field = column["sourceField"]
    found = list(map(_convert_to_number, inside if field == "___records___" else list_values(inside, field)))
    match column["operationType"]:
        case "count":
            result: Any = len(found)
        case "sum":
            result = math.fsum(found)
        case "unique_count":
            result = len(set(found))
        case "min" | "max" as name:
            result = {"min": min, "max": max}[name](found, default=None)
        case "percentile":
            result = compute_percentile(found, column["params"]["percentile"])
        case "last_value":
            newest = max(inside, key=lambda each: _convert_to_number(each["@timestamp"]), default=None)
            result = None if newest is None else get(newest, field)
        case other:
            raise ValueError(f"unknown operation of Lens: {other!r}")
    return result / range_seconds * _SECONDS[column["timeScale"]] if "timeScale" in column else result


def matches(document: Document, kql: str) -> bool:
    """Return whether *document* matches *kql*: existence and equality, combined with "or"."""
    return not kql or any(_meets(document, each) for each in _ALTERNATIVE.split(kql))


def _meets(document: Document, condition: str) -> bool:
    parsed = _CONDITION.fullmatch(condition)
    assert parsed, f"{condition!r} is not in the part of KQL that is known here"
    field, text, texts = parsed.groups()
    value = get(document, field)
    wanted = [text] if text is not None else re.findall(r'"([^"]*)"', texts or "")
    return value in wanted if wanted else value is not None


def _convert_to_number(value: Any) -> Any:
    """Return a time as microseconds, anything else unchanged."""
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\dT", value):
        return (datetime.fromisoformat(value) - _EPOCH).total_seconds() * 1e6
    return id(value) if isinstance(value, dict) else value


def _sort_columns(columns: Columns) -> list[str]:
    """Return the ids with each column after those that it refers to."""
    ordered: list[str] = []

    def visit(key: str) -> None:
        for reference in columns[key].get("references", []):
            visit(reference)
        if key not in ordered:
            ordered.append(key)

    for key in columns:
        visit(key)
    return ordered
