"""Checks of dashboards: they reject faults that Kibana rejects, and accept valid dashboards."""

from copy import deepcopy
from typing import Any

import pytest

from tests.kibana.faults import find_faults, read

GOOD: dict[str, Any] = {
    "title": "Four of a kind",
    "pinned_panels": [
        {"type": "options_list_control", "id": "c", "config": {"data_view_id": "events", "field_name": "model_version"}}
    ],
    "panels": [
        {"type": "markdown", "id": "m", "grid": {"x": 0, "y": 0, "w": 48, "h": 4},
         "config": {"content": "# Hello", "settings": {}}},
        {"type": "vis", "id": "v", "grid": {"x": 0, "y": 4, "w": 24, "h": 6},
         "config": {"type": "metric", "data_source": {"type": "esql", "query": "FROM x"},
                    "metrics": [{"type": "primary", "column": "p99", "color": {
                        "type": "dynamic", "range": "absolute",
                        "steps": [{"lt": 1, "color": "#0f0"}, {"gte": 1, "color": "#f00"}]}}]}},
        {"title": "More", "id": "s", "grid": {"y": 10}, "panels": [
            {"type": "vis", "id": "t", "grid": {"x": 0, "y": 0, "w": 48, "h": 6},
             "config": {"type": "data_table", "data_source": {"type": "esql", "query": "FROM x"},
                        "rows": [{"column": "a"}], "metrics": [{"column": "b"}],
                        "styling": {"sort_by": {"column_type": "metric", "index": 0, "direction": "desc"}}}}]},
    ],
}  # fmt: skip
VIS, TABLE = ("panels", 1), ("panels", 2, "panels", 0)


def change(place: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """Return the good body with *value* at *place*."""
    body = deepcopy(GOOD)
    node: Any = body
    for part in place[:-1]:
        node = node[part]
    node[place[-1]] = value
    return body


def join_messages(body: dict[str, Any]) -> str:
    return "\n".join(str(fault) for fault in find_faults(body))


def test_good_body_has_no_fault() -> None:
    assert find_faults(GOOD) == []


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("titel",), "x", "$: Additional properties"),
        (("title",), "", "$.title"),
        ((*VIS, "config", "colour"), "x", "$.panels[1].config"),
        ((*VIS, "config", "metrics", 0, "operation"), "count", "$.panels[1].config.metrics[0]"),
        ((*VIS, "grid", "x"), 48, "$.panels[1].grid.x"),
        ((*VIS, "type"), "lens", "$.panels[1]"),
    ],
)
def test_unknown_property_is_a_fault(place: tuple[str | int, ...], value: Any, message: str) -> None:
    assert message in join_messages(change(place, value))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([{"lt": 1, "color": "a"}, {"gte": 2, "color": "b"}], "begins at 2; the step before ends at 1"),
        ([{"gte": 0, "color": "a"}, {"gte": 2, "color": "b"}], "'lt' is needed on every step but the last"),
        ([{"lt": 1, "color": "a"}, {"lt": 2, "color": "b"}], "'gte' is needed on every step but the first"),
        ([{"gte": 3, "lt": 1, "color": "a"}, {"gte": 1, "color": "b"}], "begins at 3, above its end 1"),
        ([{"lt": 1, "lte": 1, "color": "a"}], "either 'lt' or 'lte'"),
    ],
)
def test_colour_steps_that_do_not_join_are_a_fault(steps: list[dict[str, Any]], message: str) -> None:
    assert message in join_messages(change((*VIS, "config", "metrics", 0, "color", "steps"), steps))


def test_colours_by_percentage_need_a_scale() -> None:
    assert "need 'breakdown_by'" in join_messages(
        change((*VIS, "config", "metrics", 0, "color", "range"), "percentage")
    )


def test_sorting_by_missing_column_is_a_fault() -> None:
    assert "sorts by column 1 of 1" in join_messages(change((*TABLE, "config", "styling", "sort_by", "index"), 1))


def test_field_of_a_newer_kibana_is_a_fault() -> None:
    chart = {
        "type": "xy",
        "styling": {"areas": {"fill": "gradient"}},
        "layers": [{"type": "area", "data_source": {"type": "esql", "query": "FROM x"}, "y": [{"column": "b"}]}],
    }
    assert "from Kibana 9.6 on" in join_messages(change((*VIS, "config"), chart))


def test_too_many_panels_are_a_fault() -> None:
    panel = GOOD["panels"][0]
    many = [{**panel, "id": f"m{row}", "grid": {"x": 0, "y": 4 * row, "w": 48, "h": 4}} for row in range(1000)]
    assert "1001 panels" in join_messages(change(("panels",), many))


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ((*VIS, "grid", "y"), 3, "overlaps $.panels[0]"),
        ((*VIS, "grid", "y"), 10, "overlaps"),
        ((*VIS, "grid", "x"), 30, "reaches to column 54 of 48"),
        ((*VIS, "grid", "h"), 5, "$.panels[2].grid: has nothing right above it"),
        ((*VIS, "id"), "m", "the id 'm' is also at $.panels[0]"),
        ((*TABLE, "id"), "m", "the id 'm' is also at $.panels[0]"),
        (("pinned_panels", 0, "id"), "v", "the id 'v' is also at $.panels[1]"),
        ((*TABLE, "grid", "y"), 1, "$.panels[2].panels[0].grid: has nothing right above it"),
    ],
)
def test_panel_that_kibana_would_move_is_a_fault(place: tuple[str | int, ...], value: Any, message: str) -> None:
    assert message in join_messages(change(place, value))


def test_repeated_key_is_rejected() -> None:
    assert read('{"a": {"b": 1}}') == {"a": {"b": 1}}
    with pytest.raises(ValueError, match="'b' is repeated"):
        read('{"a": {"b": 1, "b": 2}}')
