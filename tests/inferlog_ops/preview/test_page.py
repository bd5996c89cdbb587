"""The page with a keyboard, on small screens, and in the dark theme."""

from typing import Any

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query.dashboards import files
from tests.support.browsing import Visit

OURS = files.load_all()
PHONE = {"width": 390, "height": 844}


def read_focus(visit: Visit) -> str:
    """Return the name or text of the focused element."""
    text: str = visit.page.evaluate(
        "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText).trim()"
    )
    return text


def walk(visit: Visit, *, until: str, at_most: int = 60) -> list[str]:
    """Press Tab until *until* has the focus; return the elements focused on the way."""
    passed: list[str] = []
    while not passed or not passed[-1].startswith(until):
        assert len(passed) < at_most, f"{until} was not reached: {passed}"
        visit.page.keyboard.press("Tab")
        passed.append(read_focus(visit))
        outline = visit.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"{passed[-1]} does not show that it has the focus"
    return passed


def test_everything_can_be_reached_and_done_with_the_keyboard(window: Any, filled: Cluster, all_of_them: Any) -> None:
    with window(filled) as visit:
        visit.go("inferlog-overview", **all_of_them)
        passed = walk(visit, until="Model version")
        assert passed[0] == "Skip to the dashboard"
        for tool in ("Inference overview", "Refresh", "Refresh interval", "Light or dark colours"):
            assert tool in passed

        visit.page.keyboard.press("Enter")  # opens the control, at its search
        visit.page.locator(".popover:popover-open .option").first.wait_for()
        assert read_focus(visit) == "Search Model version"
        walk(visit, until="Clear", at_most=2)
        visit.page.keyboard.press("Tab")
        visit.page.keyboard.press("Space")
        visit.page.locator(".control.chosen").wait_for()
        visit.page.keyboard.press("Escape")
        assert read_focus(visit).startswith("Model version")
        visit.wait_until_settled()  # no redraw during the walk

        walk(visit, until="Look inside p99 latency")
        visit.page.keyboard.press("Enter")
        visit.page.get_by_role("dialog").wait_for()
        visit.page.keyboard.press("Escape")
        assert read_focus(visit) == "Look inside p99 latency"


def test_skip_link_leads_past_the_top_bar(window: Any, filled: Cluster, all_of_them: Any) -> None:
    with window(filled) as visit:
        visit.go("inferlog-overview", **all_of_them)
        before = visit.page.url
        visit.page.keyboard.press("Tab")
        visit.page.keyboard.press("Enter")
        visit.page.keyboard.press("Tab")
        assert read_focus(visit).startswith("Model version")
        assert visit.page.url == before


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_phone_shows_one_column_without_scrolling_sideways(
    dark: bool, window: Any, filled: Cluster, all_of_them: Any
) -> None:
    with window(filled, **PHONE, dark=dark) as visit:
        for name in OURS:
            visit.go(name, **all_of_them)
            width, left_edges = visit.page.evaluate(
                """[document.documentElement.scrollWidth, [...new Set([...document.querySelectorAll(".grid > .panel")]
                   .map((panel) => Math.round(panel.getBoundingClientRect().left)))]]"""
            )
            assert width <= PHONE["width"], name
            assert len(left_edges) == 1, name


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_has_enough_contrast(dark: bool, window: Any, filled: Cluster, all_of_them: Any) -> None:
    """At least 4.5 to 1, as WCAG AA requires for normal text."""
    with window(filled, dark=dark) as visit:
        visit.go("inferlog-overview", **all_of_them)
        visit.find_panel("p99").locator(".tile").first.wait_for()
        weak = visit.page.evaluate(CONTRASTS)
    assert weak == []


def test_every_button_and_field_has_a_name(window: Any, filled: Cluster, all_of_them: Any) -> None:
    with window(filled) as visit:
        visit.go("inferlog-overview", **all_of_them)
        nameless = visit.page.evaluate(
            """[...document.querySelectorAll("button, input, select, a[href], [role=img]")]
               .filter((each) => !(each.getAttribute("aria-label") || each.innerText?.trim() || each.labels?.length
                                   || each.title))
               .map((each) => each.outerHTML)"""
        )
    assert nameless == []


# Walks up to the first background that is not transparent. Colours come as rgb() or, mixed, as color(srgb …).
CONTRASTS = """
(() => {
  const parsed = (colour) => {
    const numbers = colour.match(/[0-9.]+/g).map(Number);
    const [red, green, blue, alpha = 1] = numbers;
    return colour.startsWith("color(") ? [red * 255, green * 255, blue * 255, alpha] : [red, green, blue, alpha];
  };
  const luminance = ([red, green, blue]) => [red, green, blue]
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parsed(getComputedStyle(each).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return [255, 255, 255, 1];
  };
  const weak = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const passed = "svg, noscript, :disabled, [hidden], .visually-hidden, .skip-link";
    if (!own || element.closest(passed) || !element.checkVisibility()) continue;
    const [one, other] = [luminance(parsed(getComputedStyle(element).color)), luminance(behind(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) weak.push(`${element.className}: ${element.textContent.trim()} (${contrast.toFixed(2)})`);
  }
  return [...new Set(weak)];
})()
"""
