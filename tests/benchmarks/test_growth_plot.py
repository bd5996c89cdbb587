"""Drawing of growth."""

import math
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from benchmarks.growth_plot import draw_growth

SVG = "{http://www.w3.org/2000/svg}"


def draw(**lines: list[tuple[float, float]]) -> ET.Element:
    return ET.fromstring(draw_growth(lines))


def list_dots(drawn: ET.Element) -> list[tuple[float, float]]:
    return [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in drawn.iter(f"{SVG}circle")]


def test_tenfold_is_the_same_distance_on_both_axes() -> None:
    first, second, third = list_dots(draw(p99=[(1e4, 0.01), (1e5, 0.1), (1e6, 1)]))
    assert second[0] - first[0] == pytest.approx(third[0] - second[0], abs=0.2)
    assert first[1] - second[1] == pytest.approx(second[1] - third[1], abs=0.2)


def test_more_events_are_right_and_more_seconds_are_up() -> None:
    (left, low), (right, high) = list_dots(draw(p99=[(1e6, 0.3), (1e7, 3)]))
    assert left < right
    assert low > high


def test_failed_query_has_no_point() -> None:
    assert len(list_dots(draw(duplicates=[(1e6, 0.3), (1e7, math.inf)], p99=[(1e6, 0.2), (1e7, 2)]))) == 3


def test_labels_of_close_lines_do_not_overlap() -> None:
    drawn = draw(one=[(1e6, 0.30), (1e7, 3.00)], two=[(1e6, 0.30), (1e7, 3.01)], three=[(1e6, 0.31), (1e7, 2.99)])
    labels = [each for each in drawn.iter(f"{SVG}text") if each.text in {"one", "two", "three"}]
    heights = sorted(float(label.attrib["y"]) for label in labels)
    assert all(lower - upper >= 12 for upper, lower in pairwise(heights))


def test_axes_have_units() -> None:
    texts = [each.text for each in draw(p99=[(1e4, 0.01), (1e6, 1)]).iter(f"{SVG}text")]
    assert {"10 k", "1 M", "0.01 s", "1 s", "events in the range", "processor seconds", "p99"} <= set(texts)
