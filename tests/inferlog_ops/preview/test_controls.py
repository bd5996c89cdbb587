"""State of the page in its address: values, time range, refresh interval."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

from tests.golden import END, START, Golden, compute_expected_rows
from tests.golden.reading import get_time, select_stream
from tests.support.browsing import Visit, format_address
from tests.support.panel_files import build_control, build_layer, build_text, build_tiles, build_vis
from tests.support.polling import wait_until

VERSION, ROUTE = "model_version", "http.route"
TITLE_AND_VALUE_OF_EACH = """
tiles => tiles.map((tile) => [".tile-title", ".tile-value"].map((part) => tile.querySelector(part).innerText))
"""


@pytest.fixture(scope="module")
def visit(window: Any, filled: Any, dashboard: Any) -> Iterator[Visit]:
    dashboard(
        build_vis("rate", build_tiles("requests_per_second", "requests"), query="requests_per_second"),
        build_vis("over-time", build_chart_over_time(), y=10, h=12),
        build_vis("lost", {**build_table(), "ignore_global_filters": True}, query="lost_events", y=22),
        pinned_panels=[
            build_control(VERSION),
            build_control(ROUTE, single_select=True),
            {"type": "time_slider_control", "config": {}},
        ],
        time_range={"from": "now-6h", "to": "now"},
        refresh_interval={"pause": False, "value": 30_000},
    )
    dashboard(
        build_text("[back](#/view/inferlog-test)"),
        build_vis("rate", build_tiles("requests_per_second", "requests"), query="requests_per_second", y=4),
        name="inferlog-z-other",
        title="Other",
        pinned_panels=[build_control(VERSION)],
    )
    with window(filled, height=1100) as visit:
        yield visit


def pause(visit: Visit) -> bool:
    """Let the page work for 50 ms."""
    visit.page.wait_for_timeout(50)
    return True


def build_chart_over_time() -> dict[str, Any]:
    line = build_layer("line", "requests_per_second_over_time", x={"column": "bucket"}, y=[{"column": "requests"}])
    return {"type": "xy", "title": "Over time", "layers": [line], "legend": {"visibility": "visible"}}


def build_table() -> dict[str, Any]:
    return {
        "type": "data_table",
        "title": "Lost",
        "rows": [{"column": "service.instance.id"}],
        "metrics": [{"column": "found"}],
    }


def read_tiles(visit: Visit) -> dict[str, int]:
    # In one call: the panel may be redrawn between two calls.
    tiles = visit.find_panel("rate").locator(".tile").evaluate_all(TITLE_AND_VALUE_OF_EACH)
    return {name: int(value.replace(",", "")) for name, value in tiles}


def count_by_version(known: Golden, **wanted: Any) -> dict[str, int]:
    documents = [
        each
        for each in select_stream(known.select_between(START, END), "events")
        if all(each.get(field) in values for field, values in wanted.items())
    ]
    return {
        row[VERSION]: row["requests"] for row in compute_expected_rows("requests_per_second", documents, START, END)
    }


def read_parameters(visit: Visit) -> dict[str, list[str]]:
    """Return the parameters of the address."""
    return parse_qs(visit.page.url.partition("?")[2], keep_blank_values=True)


def test_selected_value_filters_every_panel_except_those_that_ignore_it(
    visit: Visit, known: Golden, all_of_them: Any
) -> None:
    visit.go("inferlog-test", **all_of_them)
    assert read_tiles(visit) == count_by_version(known)
    unfiltered = visit.find_panel("lost").locator("tbody").inner_text()

    visit.page.get_by_role("button", name=VERSION).click()
    visit.page.get_by_role("checkbox", name="v2").check()
    wait_until(lambda: read_tiles(visit) == count_by_version(known, model_version=["v2"]), what="the figures of v2")
    visit.page.get_by_role("checkbox", name="v1").check()
    wait_until(lambda: read_tiles(visit) == count_by_version(known, model_version=["v1", "v2"]), what="those of both")
    visit.page.keyboard.press("Escape")
    visit.wait_until_settled()
    assert visit.find_panel("lost").locator("tbody").inner_text() == unfiltered
    assert sorted(read_parameters(visit)["f"]) == ["model_version:v1", "model_version:v2"]

    visit.page.get_by_role("button", name="Clear filters").click()
    wait_until(lambda: read_tiles(visit) == count_by_version(known), what="all figures")


def test_events_without_a_version_can_be_selected(visit: Visit, known: Golden, all_of_them: Any) -> None:
    visit.go("inferlog-test", f="model_version:(none)", **all_of_them)
    assert read_tiles(visit) == {"(none)": count_by_version(known)["(none)"]}


def test_control_lists_and_searches_the_values_of_the_range_with_counts(
    visit: Visit, known: Golden, all_of_them: Any
) -> None:
    visit.go("inferlog-test", **all_of_them)
    visit.page.get_by_role("button", name=VERSION).click()
    options = visit.page.locator(".popover:popover-open .option")
    options.first.wait_for()
    offered = dict(text.split("\n") for text in options.all_inner_texts())
    assert {name: int(count.replace(",", "")) for name, count in offered.items()} == count_by_version(known)
    visit.page.get_by_label(f"Search {VERSION}").fill("V1")
    wait_until(lambda: [text.split("\n")[0] for text in options.all_inner_texts()] == ["v1"], what="v1 alone")
    visit.page.get_by_label(f"Search {VERSION}").fill("v.*")
    wait_until(lambda: options.count() == 0, what="no value that contains v.*")
    visit.page.keyboard.press("Escape")


def test_single_select_control_keeps_one_value(visit: Visit, all_of_them: Any) -> None:
    visit.go("inferlog-test", **all_of_them)
    for nth in (0, 1):
        visit.page.get_by_role("button", name=ROUTE).click()
        visit.page.locator(".popover:popover-open .option").nth(nth).click()
        wait_until(lambda: len(read_parameters(visit).get("f", [])) == 1, what="one filter")
        visit.page.keyboard.press("Escape")


def test_unsupported_control_shows_a_note(visit: Visit, all_of_them: Any) -> None:
    visit.go("inferlog-test", **all_of_them)
    assert "time_slider_control: in Kibana only" in visit.page.locator(".controls").inner_text()


def test_click_on_a_tile_name_filters_by_its_version(visit: Visit, known: Golden, all_of_them: Any) -> None:
    visit.go("inferlog-test", **all_of_them)
    visit.find_panel("rate").get_by_role("button", name="v3").click()
    wait_until(lambda: read_tiles(visit) == count_by_version(known, model_version=["v3"]), what="the figures of v3")


def test_page_starts_with_the_selection_of_the_file(visit: Visit) -> None:
    visit.go("inferlog-test")
    bar = visit.page.locator(".bar")
    assert "Last 6 hours" in bar.inner_text()
    assert bar.get_by_label("Refresh interval").input_value() == "30"


def test_selection_without_a_dashboard_in_the_address_applies_to_the_first(visit: Visit) -> None:
    visit.page.goto(visit.url)
    visit.wait_until_settled()
    visit.page.locator("button.range").click()
    visit.page.get_by_role("button", name="Last 7 days").click()
    wait_until(lambda: "#/view/inferlog-test?from=now-7d" in visit.page.url, what="an address to share")
    visit.wait_until_settled()
    assert visit.page.locator(".heading h1").inner_text() == "Test"


def test_range_that_ends_before_its_start_is_rejected(visit: Visit) -> None:
    visit.go("inferlog-test", **{"from": format_address(END), "to": format_address(START)})
    assert "Last 6 hours" in visit.page.locator(".bar").inner_text()


def test_typed_range_is_applied_unless_invalid(visit: Visit, known: Golden, all_of_them: Any) -> None:
    visit.go("inferlog-test", **all_of_them)
    visit.page.locator("button.range").click()
    begin, show = visit.page.get_by_label("From"), visit.page.get_by_role("button", name="Show")
    for wrong, complaint in (("yesterday", "not a valid time"), (format_address(END), "end must be after")):
        begin.fill(wrong)
        show.click()
        assert complaint in visit.page.get_by_role("alert").filter(has_text=complaint).inner_text()
    later = START + timedelta(minutes=4)
    begin.fill(f"{later:%Y-%m-%d %H:%M:%S}")
    show.click()
    since = [
        each
        for each in select_stream(known.select_between(START, END), "events")
        if get_time(each) >= later.replace(microsecond=0)
    ]
    wait_until(lambda: sum(read_tiles(visit).values()) == len(since), what="the figures since then")


def test_range_drawn_with_the_mouse_applies_to_all_panels(visit: Visit, all_of_them: Any) -> None:
    visit.go("inferlog-test", **all_of_them)
    before = read_tiles(visit)
    visit.read_drawn("over-time")
    area = visit.find_panel("over-time").locator(".canvas .nsewdrag").bounding_box()
    visit.page.mouse.move(area["x"] + area["width"] * 0.25, area["y"] + 40)
    visit.page.mouse.down()
    visit.page.mouse.move(area["x"] + area["width"] * 0.75, area["y"] + 44, steps=4)
    visit.page.mouse.up()
    wait_until(lambda: sum(read_tiles(visit).values()) < sum(before.values()), what="fewer requests")
    assert read_parameters(visit)["from"] > [all_of_them["from"]]
    assert read_parameters(visit)["to"] < [all_of_them["to"]]
    visit.page.go_back()
    wait_until(lambda: read_tiles(visit) == before, what="the range before")


def test_link_to_another_dashboard_keeps_range_and_filters(visit: Visit, known: Golden, all_of_them: Any) -> None:
    visit.go("inferlog-test", f="model_version:v1", **all_of_them)
    visit.page.get_by_role("link", name="Other").click()
    visit.page.get_by_role("heading", level=1, name="Other").wait_for()
    assert read_tiles(visit) == count_by_version(known, model_version=["v1"])
    visit.page.get_by_role("link", name="back").click()
    visit.page.get_by_role("heading", level=1, name="Test").wait_for()
    assert read_tiles(visit) == count_by_version(known, model_version=["v1"])


def test_link_keeps_focus_during_refresh_and_follows_the_current_selection(
    visit: Visit, known: Golden, all_of_them: Any
) -> None:
    visit.go("inferlog-z-other", **all_of_them)
    link = visit.page.get_by_role("link", name="back")
    link.focus()
    # As the browser's own way back does it: nothing on the page is touched.
    visit.page.evaluate("location.hash += '&f=model_version:v1'")
    visit.wait_until_settled()
    assert read_tiles(visit) == count_by_version(known, model_version=["v1"])
    assert link.evaluate("link => link === document.activeElement")
    visit.page.keyboard.press("Enter")
    visit.page.get_by_role("heading", level=1, name="Test").wait_for()
    assert read_tiles(visit) == count_by_version(known, model_version=["v1"])


@pytest.mark.parametrize(
    ("panel", "button"), [("rate", "v1"), ("over-time", "requests"), ("lost", "found")], ids=["tile", "legend", "table"]
)
def test_button_keeps_focus_during_refresh(
    panel: str, button: str, visit: Visit, known: Golden, all_of_them: Any
) -> None:
    visit.go("inferlog-test", **all_of_them)
    held = visit.find_panel(panel).locator(".panel-body").get_by_role("button", name=button)
    held.focus()
    before = held.element_handle()
    visit.page.evaluate("location.hash += '&f=model_version:v1&f=model_version:v2'")
    visit.wait_until_settled()
    assert read_tiles(visit) == count_by_version(known, model_version=["v1", "v2"])
    assert not before.evaluate("before => before.isConnected"), "it is not the same button"
    assert held.evaluate("held => held === document.activeElement")


def test_shared_link_shows_the_same_view_and_ignores_fields_without_a_control(
    visit: Visit, known: Golden, all_of_them: Any
) -> None:
    visit.go("inferlog-test", f=["model_version:v1", "status:error"], **all_of_them)
    link = visit.page.url
    assert read_tiles(visit) == count_by_version(known, model_version=["v1"])
    visit.page.goto("about:blank")
    visit.page.goto(link)
    visit.wait_until_settled()
    assert read_tiles(visit) == count_by_version(known, model_version=["v1"])
    assert "status:error" in unquote(link)


def test_refreshes_never_overlap_and_can_be_paused(visit: Visit, all_of_them: Any) -> None:
    visit.go("inferlog-test", **{**all_of_them, "refresh": 1})
    asked = len(visit.requests)
    under_way: list[str] = []
    most = 0

    def begun(request: Any) -> None:
        nonlocal most
        if "/panels/rate" in request.url:
            under_way.append(request.url)
            most = max(most, len(under_way))

    def ended(request: Any) -> None:
        if request.url in under_way:
            under_way.remove(request.url)

    visit.page.on("request", begun)
    visit.page.on("requestfinished", ended)
    wait_until(lambda: pause(visit) and len(visit.requests) >= asked + 8, timeout_seconds=30, what="looks")
    assert most == 1
    visit.page.get_by_role("button", name="Pause refreshing").click()
    visit.wait_until_settled()
    visit.page.wait_for_timeout(100)
    asked = len(visit.requests)
    visit.page.wait_for_timeout(1500)  # longer than the second after which it would have looked again
    assert len(visit.requests) == asked
    assert read_parameters(visit)["refresh"] == ["0"]
    visit.page.get_by_role("button", name="Refresh", exact=True).click()
    wait_until(lambda: pause(visit) and len(visit.requests) > asked, what="a look by hand")


def test_request_for_an_earlier_range_is_aborted(visit: Visit, known: Golden, all_of_them: Any) -> None:
    held: list[Any] = []
    visit.go("inferlog-test", **all_of_them)
    visit.page.route("**/panels/rate?*", lambda route: held.append(route) if not held else route.continue_())
    visit.page.get_by_role("button", name="Refresh", exact=True).click()
    wait_until(lambda: pause(visit) and held, what="a question that is not answered")
    visit.page.evaluate("location.hash += '&f=model_version:v1'")
    wait_until(lambda: read_tiles(visit) == count_by_version(known, model_version=["v1"]), what="the newer answer")
    visit.page.unroute("**/panels/rate?*")


def test_theme_is_selected_and_persists(visit: Visit, all_of_them: Any) -> None:
    visit.go("inferlog-test", **all_of_them)

    def background() -> str:
        return str(visit.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = background()
    visit.page.get_by_role("button", name="Light or dark").click()
    assert background() != light
    dark = background()
    visit.page.reload()
    visit.wait_until_settled()
    assert background() == dark
    visit.page.get_by_role("button", name="Light or dark").click()
    assert background() == light
