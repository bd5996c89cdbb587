"""Conditions of KQL as query DSL."""

from typing import Any

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.kibana.lens.kql import build_filter, list_fields


@pytest.mark.parametrize(
    ("kql", "wanted"),
    [
        ("cost_usd: *", [{"exists": {"field": "cost_usd"}}]),
        ('status: "error"', [{"term": {"status": {"value": "error"}}}]),
        (
            "a: * or b: *",
            [
                {"bool": {"should": [{"exists": {"field": "a"}}], "minimum_should_match": 1}},
                {"bool": {"should": [{"exists": {"field": "b"}}], "minimum_should_match": 1}},
            ],
        ),
    ],
)
def test_filter_becomes_query_dsl(kql: str, wanted: list[dict[str, Any]]) -> None:
    assert build_filter(kql) == {"bool": {"should": wanted, "minimum_should_match": 1}}


def test_unknown_filter_is_rejected() -> None:
    with pytest.raises(OperatorError, match="no request for the filter"):
        build_filter("latency_seconds > 3")


@pytest.mark.parametrize(
    ("kql", "fields"), [('status: "error"', ["status"]), ("@timestamp: * or b.c: *", ["@timestamp", "b.c"])]
)
def test_fields_are_those_of_the_conditions(kql: str, fields: list[str]) -> None:
    assert list_fields(kql) == fields
