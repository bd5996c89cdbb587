import math
import re
from random import Random
from typing import Any

import pytest

from inferlog_ops.provision.kibana.lens.expressions import (
    Aggregate,
    Expression,
    call,
    compile_columns,
    count,
    format_formula,
    highest,
    list_aggregates,
    lowest,
    overall_sum,
    percentile,
    total,
)
from inferlog_ops.provision.kibana.lens.sources import SOURCES, Figure
from tests.support.lens_execution import MATH, calculate

FORMULAS = [
    pytest.param(column.expression, id=f"{query}.{name}")
    for query, source in SOURCES.items()
    for name, column in source.columns.items()
    if isinstance(column, Figure) and not isinstance(column.expression, Aggregate)
]
DEEPEST = 4
"""Levels of nested functions that Kibana 8.12 reads in milliseconds; each further one takes four times as long."""


def test_single_aggregate_is_one_column_without_formula() -> None:
    columns = compile_columns("p99", percentile("latency_seconds", 99), "p99", {"id": "number"})
    assert columns == {
        "p99": {
            "label": "p99",
            "customLabel": True,
            "dataType": "number",
            "operationType": "percentile",
            "isBucketed": False,
            "scale": "ratio",
            "sourceField": "latency_seconds",
            "params": {"percentile": 99, "format": {"id": "number"}},
        }
    }


def test_formula_has_its_text_and_a_column_for_each_part() -> None:
    columns = compile_columns("rate", count(kql='status: "error"') / count(), "failed")
    assert columns["rate"]["params"]["formula"] == "count(kql='status: \"error\"') / count()"
    assert columns["rate"]["references"] == ["rateX2"]
    assert columns["rateX0"]["filter"] == {"query": 'status: "error"', "language": "kuery"}
    assert columns["rateX2"]["references"] == ["rateX0", "rateX1"]
    assert columns["rateX2"]["params"]["tinymathAst"]["args"] == ["rateX0", "rateX1"]
    assert {columns[part]["label"] for part in ("rateX0", "rateX1", "rateX2")} == {"Part of failed"}


def test_equal_parts_of_a_formula_share_a_column() -> None:
    columns = compile_columns("x", call("subtract", 1, count()) * count(), "x")
    assert [columns[key]["operationType"] for key in columns] == ["formula", "count", "math"]


def test_rate_is_scaled_by_lens() -> None:
    assert compile_columns("r", total("cost_usd", per="h"), "an hour")["r"]["timeScale"] == "h"


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (count() - (count() - 1), "count() - (count() - 1)"),
        (count() - 1 - count(), "count() - 1 - count()"),
        ((count() + 1) * 2, "(count() + 1) * 2"),
        (count() / (count() * 2), "count() / (count() * 2)"),
        (overall_sum(lowest("a") * 1), "overall_sum(min(a) * 1)"),
        (percentile("a", 95) * 1, "percentile(a, percentile=95) * 1"),
        (count(kql="a: 'b'") + 1, "count(kql='a: \\'b\\'') + 1"),
        (call("pick_max", highest("a"), 0.5), "pick_max(max(a), 0.5)"),
    ],
)
def test_text_of_a_formula_has_the_brackets_that_it_needs(expression: Expression, text: str) -> None:
    assert format_formula(expression) == text


@pytest.mark.parametrize("expression", FORMULAS)
def test_compiled_columns_agree_with_the_text_of_the_formula(expression: Expression) -> None:
    random = Random(14)
    for _ in range(50):
        figures = {aggregate: float(random.randrange(1, 100)) for aggregate in list_aggregates(expression)}
        assert _run_columns(expression, figures) == pytest.approx(
            _run_text(expression, figures), rel=1e-9, abs=1e-9, nan_ok=True
        )


@pytest.mark.parametrize("expression", FORMULAS)
def test_columns_of_a_formula_refer_to_earlier_parts(expression: Expression) -> None:
    columns = compile_columns("m", expression, "m")
    order = list(columns)
    assert columns["m"]["references"] == [order[-1]]
    for place, key in enumerate(order[1:], start=1):
        assert all(reference in order[1:place] for reference in columns[key].get("references", []))


@pytest.mark.parametrize("expression", FORMULAS)
def test_formula_nests_few_functions(expression: Expression) -> None:
    depth = deepest = 0
    for bracket in re.findall(r"\w\(|\(|\)", re.sub(r"'[^']*'", "", format_formula(expression))):
        depth += -1 if bracket == ")" else len(bracket) == 2  # brackets around a sum do not count
        deepest = max(deepest, depth)
    assert deepest <= DEEPEST


def _run_columns(expression: Expression, figures: dict[Aggregate, float]) -> Any:
    columns = compile_columns("m", expression, "m")
    found: dict[str, Any] = {}
    by_column = {str(compile_columns("a", each, "Part of m")["a"]): value for each, value in figures.items()}
    for key, column in list(columns.items())[1:]:
        if column["operationType"] == "math":
            found[key] = calculate(column["params"]["tinymathAst"], found)
        elif column["operationType"].startswith("overall_"):
            found[key] = found[column["references"][0]]  # of one row
        else:
            found[key] = by_column[str(column)]
    return found[columns["m"]["references"][0]]


def _run_text(expression: Expression, figures: dict[Aggregate, float]) -> Any:
    """Evaluate the text as Python, whose operators and brackets mean the same."""
    text = format_formula(expression)
    for aggregate in sorted(figures, key=lambda each: -len(format_formula(each))):
        text = text.replace(format_formula(aggregate), repr(figures[aggregate]))
    functions = {**MATH, "defaults": lambda value, _: value, "overall_sum": float, "overall_min": float}
    try:
        return eval(text, {"__builtins__": {}}, functions)
    except ZeroDivisionError:
        return math.nan
