"""Values of events are text on the page, never markup."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.support.browsing import Visit, format_address
from tests.support.indexing import create_fresh_cluster, index
from tests.support.panel_files import build_control, build_layer, build_text, build_tiles, build_vis

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCRIPT = '<img src=x onerror="alert(1)"><script>alert(2)</script>'
PLOTLY_MARKUP = '<b>bold</b> &lt;i&gt; <a href="javascript:alert(3)">link</a> %{x} v1'
NAMES = [SCRIPT, PLOTLY_MARKUP, "v1 ${alert(4)} {{alert(5)}}"]
BY_VERSION = {"breakdown_by": {"column": "model_version"}}
REQUESTS = {"y": [{"column": "requests"}]}


@pytest.fixture(scope="module")
def visit(engine_url: str, window: Any, dashboard: Any) -> Iterator[Visit]:
    """The page with odd names of versions and routes."""
    cluster = create_fresh_cluster(engine_url)
    index(cluster, "events", (build_event(name, minute) for name in NAMES for minute in range(5)))
    over_time = {"x": {"column": "bucket"}, **BY_VERSION, **REQUESTS}
    by_version = build_layer("bar_horizontal", "requests_per_second", x={"column": "model_version"}, **REQUESTS)
    heat = {"x": {"column": "bucket"}, "y": {"column": "model_version"}, "metric": {"column": "requests"}}
    rows = [{"column": "model_version", "click_filter": True}, {"column": "http.route"}, {"column": "error.message"}]
    panels = [
        build_text(f"# {SCRIPT}\n\n{PLOTLY_MARKUP} [here](javascript:alert(6)) ![picture](https://example.org/x.png)"),
        build_vis("tiles", build_tiles("requests_per_second", "requests"), query="requests_per_second", y=4),
        build_chart("line", build_layer("line", "requests_per_second_over_time", **over_time), y=14),
        build_chart("bars", by_version, y=24),
        build_vis("heat", {"type": "heatmap", "title": "Heat", **heat}, query="requests_per_second_over_time", y=34),
        build_vis("rows", {"type": "data_table", "title": SCRIPT, "rows": rows}, query="recent_errors", y=44),
        build_vis("source", {**build_tiles("requests_per_second", "requests"), "data_source": {"type": SCRIPT}}, y=54),
        {"type": SCRIPT, "id": "kind", "grid": {"x": 0, "y": 64, "w": 48, "h": 4}, "config": {}},
    ]
    dashboard(*panels, title=SCRIPT, description=SCRIPT, pinned_panels=[build_control("model_version", title=SCRIPT)])
    with window(cluster, height=1500, refusals=True) as visit:
        visit.go(
            "inferlog-test",
            **{"from": format_address(NOW - timedelta(minutes=10)), "to": format_address(NOW), "refresh": 0},
        )
        yield visit
        assert visit.page.locator('img[src="x"], main script, main b, main i, svg a, [href^="javascript"]').count() == 0


def build_chart(panel_id: str, *layers: dict[str, Any], y: int) -> dict[str, Any]:
    return build_vis(panel_id, {"type": "xy", "title": PLOTLY_MARKUP, "layers": layers}, y=y)


def build_event(name: str, minute: int) -> dict[str, Any]:
    return {
        "@timestamp": (NOW - timedelta(minutes=minute + 1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "event": {"id": uuid4().hex, "dataset": "inference.events"},
        "service": {"name": SCRIPT},
        "status": "error",
        "model_version": name,
        "latency_seconds": 1.0,
        "http": {"route": f"/{name}"},
        "error": {"type": name, "message": name},
    }


def test_tiles_show_markup_as_text(visit: Visit) -> None:
    assert sorted(visit.find_panel("tiles").locator(".tile-title").all_inner_texts()) == sorted(NAMES)


def test_legends_show_markup_as_text(visit: Visit) -> None:
    visit.read_drawn("line")
    assert sorted(visit.find_panel("line").locator(".legend .series-name").all_text_contents()) == sorted(NAMES)


def test_tooltips_show_markup_as_text(visit: Visit) -> None:
    visit.read_drawn("bars")
    panel = visit.find_panel("bars")
    tooltips = set()
    for bar in panel.locator(".bars .point path").all():
        box = bar.bounding_box()
        assert box
        visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        panel.locator(".tooltip").wait_for()
        tooltips.add(panel.locator(".tooltip-head").text_content())
        visit.page.mouse.move(0, 0)
        panel.locator(".tooltip").wait_for(state="hidden")
    assert tooltips == set(NAMES)


@pytest.mark.parametrize("panel_id", ["bars", "heat"])
def test_axes_show_markup_as_text(panel_id: str, visit: Visit) -> None:
    visit.read_drawn(panel_id)
    shown = visit.find_panel(panel_id).locator(".ytick text").all_text_contents()
    assert sorted(shown) == sorted(name if panel_id == "heat" or len(name) <= 26 else f"{name[:25]}…" for name in NAMES)


def test_tables_show_markup_as_text(visit: Visit) -> None:
    panel = visit.find_panel("rows")
    assert panel.get_by_role("heading").text_content() == SCRIPT
    assert set(panel.locator("tbody td:first-child").all_text_contents()) == set(NAMES)
    assert set(panel.locator("tbody td:last-child").all_text_contents()) == set(NAMES)


def test_titles_show_markup_as_text(visit: Visit) -> None:
    assert visit.page.locator(".heading h1").text_content() == SCRIPT
    assert visit.page.locator(".heading p").text_content() == SCRIPT
    assert visit.page.title().startswith(SCRIPT)


def test_markdown_shows_markup_as_text(visit: Visit) -> None:
    shown = visit.page.locator(".markdown")
    assert shown.locator("h1").text_content() == SCRIPT
    assert "<b>bold</b> <i>" in (shown.text_content() or "")
    assert (shown.text_content() or "").endswith("here picture".replace("here", "[here](javascript:alert(6))"))


def test_controls_and_their_filter_show_markup_as_text(visit: Visit) -> None:
    before = visit.page.url
    visit.page.locator(".control").click()
    boxes = visit.page.locator(".popover:popover-open .option")
    boxes.first.wait_for()
    assert sorted(boxes.locator(".option-value").all_text_contents()) == sorted(NAMES)
    boxes.filter(has_text="onerror").click()
    visit.page.keyboard.press("Escape")
    visit.page.locator(".tile").nth(1).wait_for(state="detached")
    assert visit.page.locator(".control strong").text_content() == SCRIPT
    assert visit.find_panel("tiles").locator(".tile-title").all_inner_texts() == [SCRIPT]
    visit.page.goto(before)
    visit.wait_until_settled()


@pytest.mark.parametrize("panel_id", ["source", "kind"])
def test_errors_show_markup_as_text(panel_id: str, visit: Visit) -> None:
    assert f"of type {SCRIPT}" in (visit.find_panel(panel_id).text_content() or "")


def test_markup_in_the_address_is_ignored(visit: Visit) -> None:
    before = visit.page.url
    visit.page.goto(f"{visit.url}/#/view/<img src=x onerror=alert(7)>")
    visit.wait_until_settled()
    assert visit.page.locator(".heading h1").text_content() == SCRIPT
    assert visit.page.locator('img[src="x"]').count() == 0
    visit.page.goto(before)
    visit.wait_until_settled()
