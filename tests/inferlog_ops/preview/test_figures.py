"""Each panel type shows the figures that plain Python computes from the same events."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.support.browsing import Visit
from tests.support.panel_files import build_layer, build_tiles, build_vis

DURATION = {"type": "duration", "from": "s", "to": "auto"}
BY_VERSION = {"column": "model_version"}
OVER_TIME = {"x": {"column": "bucket"}, "breakdown_by": BY_VERSION}
REQUESTS = {**OVER_TIME, "y": [{"column": "requests"}]}
RATE = "requests_per_second_over_time"


def build_chart(panel_id: str, *layers: dict[str, Any], **config: Any) -> dict[str, Any]:
    return build_vis(panel_id, {"type": "xy", "title": panel_id, "layers": layers, **config})


PANELS = [
    build_vis(
        "p99",
        build_tiles("p99_latency", "p99_seconds", format=DURATION, background_chart={"type": "trend"}),
        query="p99_latency",
    ),
    build_chart("line", build_layer("line", RATE, **REQUESTS)),
    build_chart("area_stacked", build_layer("area_stacked", RATE, **REQUESTS)),
    build_chart("bar_stacked", build_layer("bar_stacked", RATE, **REQUESTS)),
    build_chart("share", build_layer("area_percentage", RATE, **REQUESTS)),
    build_chart(
        "routes", build_layer("bar_horizontal", "routes", x={"column": "http.route"}, y=[{"column": "requests"}])
    ),
    build_chart(
        "both",
        build_layer("bar_stacked", RATE, **REQUESTS),
        build_layer(
            "line", "p99_latency_over_time", **OVER_TIME, y=[{"column": "p99_seconds", "label": "p99", "axis": "y2"}]
        ),
        axis={"y2": {"title": {"text": "s"}}},
    ),
    build_vis(
        "versions",
        {
            "type": "data_table",
            "title": "Versions",
            "rows": [{"column": "model_version", "label": "version"}],
            "metrics": [
                {"column": "requests", "format": {"type": "number", "decimals": 0}, "summary": {"type": "sum"}},
                {"column": "p99_seconds", "label": "p99", "format": DURATION},
            ],
        },
        query="overview",
    ),
    build_vis(
        "lag",
        {
            "type": "gauge",
            "title": "Lag",
            "metric": {"column": "p99_seconds", "format": DURATION, "max": {"column": "max_seconds"}},
            "styling": {"shape": {"type": "semi_circle"}},
        },
        query="ingest_lag",
    ),
    build_vis(
        "heat",
        {
            "type": "heatmap",
            "title": "Heat",
            "x": {"column": "bucket"},
            "y": BY_VERSION,
            "metric": {"column": "requests"},
        },
        query=RATE,
    ),
]


@pytest.fixture(scope="module")
def visit(window: Any, filled: Any, dashboard: Any, all_of_them: Any) -> Iterator[Visit]:
    """The page with one panel of each kind."""
    for row, panel in enumerate(PANELS):
        panel["grid"]["y"] = row * 10
    dashboard(*PANELS)
    with window(filled, height=1200) as visit:
        visit.go("inferlog-test", **all_of_them)
        yield visit


def format_seconds(value: float | None) -> str:
    """Format a duration as the page does: three digits, in a suitable unit."""
    if value is None:
        return "–"
    if value < 0.9995:
        milliseconds = value * 1000
        return f"{milliseconds:.{0 if milliseconds >= 99.95 else 1 if milliseconds >= 9.995 else 2}f} ms"
    return f"{value:.{1 if value >= 9.995 else 2}f} s"


def test_tiles_show_the_figure_of_each_version_in_its_unit(visit: Visit, answer: Any) -> None:
    panel = visit.find_panel("p99")
    names, values = (panel.locator(part).all_inner_texts() for part in (".tile-title", ".tile-value"))
    assert dict(zip(names, values, strict=True)) == {
        row["model_version"]: format_seconds(row["p99_seconds"]) for row in answer("p99_latency")
    }


def test_tile_background_is_its_figure_over_time(visit: Visit, answer: Any) -> None:
    known = [row for row in answer("p99_latency_over_time") if row["p99_seconds"] is not None]
    slices = {tile["model_version"]: 0 for tile in answer("p99_latency")}
    for row in known:
        slices[row["model_version"]] += 1
    lines = visit.find_panel("p99").locator(".trend polyline")
    points = [len((line.get_attribute("points") or "").split()) for line in lines.all()]
    assert points == [number for number in slices.values() if number > 1] != []


@pytest.mark.parametrize("kind", ["line", "area_stacked", "bar_stacked"])
def test_charts_over_time_draw_each_slice_of_each_version(kind: str, visit: Visit, answer: Any) -> None:
    points = {
        (trace["name"], datetime.fromisoformat(f"{moment}Z"), value)
        for trace in visit.read_drawn(kind)
        for moment, value in zip(trace["x"], trace["y"], strict=True)
        if value is not None
    }
    assert points == {
        (row["model_version"], datetime.fromisoformat(row["bucket"]), row["requests"]) for row in answer(RATE)
    }
    legend = visit.find_panel(kind).locator(".legend .series-name").all_inner_texts()
    assert sorted(legend) == sorted({row["model_version"] for row in answer(RATE)})


def test_time_axis_covers_the_selected_range(visit: Visit, all_of_them: Any) -> None:
    visit.read_drawn("line")
    drawn = visit.find_panel("line").locator(".canvas").evaluate("canvas => canvas.layout.xaxis.range")
    assert [datetime.fromisoformat(f"{end}Z").timestamp() for end in drawn] == pytest.approx(
        [datetime.fromisoformat(all_of_them[end]).timestamp() for end in ("from", "to")], abs=0.001
    )


def test_categories_keep_their_order_and_their_names(visit: Visit, answer: Any) -> None:
    (trace,) = visit.read_drawn("routes")
    assert trace["x"] == [row["requests"] for row in answer("routes")]
    names = visit.find_panel("routes").locator(".ytick text").all_text_contents()
    assert names == [row["http.route"] for row in answer("routes")]


def test_layers_share_a_chart_with_separate_axes(visit: Visit) -> None:
    traces = visit.read_drawn("both")
    assert {(trace["type"], trace["yaxis"]) for trace in traces} == {("bar", "y"), ("scatter", "y2")}
    panel = visit.find_panel("both")
    assert {"v1 · p99", "v1 · requests"} <= set(panel.locator(".legend .series-name").all_inner_texts())
    assert panel.locator(".y2title").text_content() == "s"


def test_one_version_has_one_colour_in_all_charts(visit: Visit) -> None:
    line, bar = (
        {trace["name"]: trace["marker"]["color"] for trace in visit.read_drawn(kind)}
        for kind in ("line", "bar_stacked")
    )
    assert line == bar
    assert len(set(line.values())) == len(line)


def test_shares_of_all_are_drawn_up_to_100_percent(visit: Visit) -> None:
    assert {trace["groupnorm"] for trace in visit.read_drawn("share")} == {"percent"}
    assert "100%" in visit.find_panel("share").locator(".ytick text").all_text_contents()


def test_tables_show_every_row_and_sort_by_a_click(visit: Visit, answer: Any) -> None:
    panel, wanted = visit.find_panel("versions"), answer("overview")
    rows = [row.locator("td").all_inner_texts() for row in panel.locator("tbody tr").all()]
    assert rows == [
        [row["model_version"], f"{row['requests']:,}", format_seconds(row["p99_seconds"])] for row in wanted
    ]
    assert panel.locator("tfoot td").nth(1).inner_text() == f"sum: {sum(row['requests'] for row in wanted):,}"

    least_first = [f"{each:,}" for each in sorted(row["requests"] for row in wanted)]
    for direction, order in (("descending", least_first[::-1]), ("ascending", least_first)):
        panel.get_by_role("button", name="requests").click()
        assert panel.locator("th").nth(1).get_attribute("aria-sort") == direction
        assert panel.locator("tbody td:nth-child(2)").all_inner_texts() == order


def test_gauge_shows_the_figure_between_its_ends(visit: Visit, answer: Any) -> None:
    (row,) = answer("ingest_lag")
    said = visit.find_panel("lag").get_by_role("img").get_attribute("aria-label")
    assert said == f"{format_seconds(row['p99_seconds'])}; from 0 s to {format_seconds(row['max_seconds'])}"


def test_heatmap_has_a_cell_for_each_row(visit: Visit, answer: Any) -> None:
    (trace,) = visit.read_drawn("heat")
    names = visit.find_panel("heat").locator(".ytick text").all_text_contents()
    cells = {
        (name, datetime.fromisoformat(f"{moment}Z"), value)
        for name, row in zip(names, trace["z"], strict=True)
        for moment, value in zip(trace["x"], row, strict=False)  # there is one edge more than there are cells
        if value is not None
    }
    assert cells == {
        (row["model_version"], datetime.fromisoformat(row["bucket"]), row["requests"]) for row in answer(RATE)
    }


def test_tooltip_shows_all_figures_at_the_time_under_the_mouse(visit: Visit, answer: Any) -> None:
    visit.read_drawn("bar_stacked")
    panel = visit.find_panel("bar_stacked")
    last = answer(RATE)[-1]["bucket"]
    # plotly knows the position of the last slice.
    at = panel.locator(".canvas").evaluate(
        "(canvas, moment) => canvas._fullLayout.xaxis.d2p(moment) + canvas._fullLayout.xaxis._offset",
        last.removesuffix("Z"),
    )
    area = panel.locator(".plot").bounding_box()
    visit.page.mouse.move(area["x"] + at + 2, area["y"] + area["height"] / 2)
    tooltip = panel.locator(".tooltip")
    tooltip.wait_for()
    figures_shown = dict(row.locator("td").all_inner_texts()[1:] for row in tooltip.locator("tr").all())
    assert figures_shown == {
        row["model_version"]: str(row["requests"]) for row in answer(RATE) if row["bucket"] == last
    }
    visit.page.mouse.move(0, 0)


def test_click_on_the_legend_hides_a_version(visit: Visit) -> None:
    names = {trace["name"] for trace in visit.read_drawn("line")}
    button = visit.find_panel("line").get_by_role("button", name="v1")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert {trace["name"] for trace in visit.read_drawn("line")} == names - {"v1"}
    button.click()
    assert {trace["name"] for trace in visit.read_drawn("line")} == names


def test_inspect_dialog_shows_rows_and_query(visit: Visit, filled: Any, answer: Any) -> None:
    visit.find_panel("p99").get_by_role("button", name="Look inside").click()
    inside = visit.page.get_by_role("dialog")
    assert inside.locator("tbody tr").count() == len(answer("p99_latency"))
    assert f"FROM logs-inference.events-{filled.namespace}" in inside.locator("pre").inner_text()
    visit.page.keyboard.press("Escape")
    inside.wait_for(state="detached")
