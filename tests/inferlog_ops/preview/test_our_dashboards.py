"""inferlog's dashboards: with known events, without events, and with errors of Elasticsearch."""

from typing import Any

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query.dashboards import files
from inferlog_ops.query.dashboards.panels import list_panels
from tests.golden import START
from tests.support.browsing import PATIENCE_MS, Visit
from tests.support.indexing import create_fresh_cluster, index_many

OURS = files.load_all()
ALL_PANELS_PX = 16_000  # so high a window that every panel is in sight
LATENCIES = ("latency_seconds", "time_to_first_token_seconds")
CUT_TEXTS = """
tiles => tiles.flatMap((tile) => [".tile-title", ".tile-secondary strong", ".tile-value"].filter((part) => {
    const range = document.createRange();
    range.selectNodeContents(tile.querySelector(part));
    const text = range.getBoundingClientRect();
    return [tile, tile.querySelector(part).closest(".tile-head, .tile-secondary, .tile")].some((frame) => {
        const { left, right, top, bottom } = frame.getBoundingClientRect();
        return text.left < left - 1 || text.right > right + 1 || text.top < top - 1 || text.bottom > bottom + 1;
    });
}).map((part) => `${tile.innerText}: ${part}`))
"""


@pytest.fixture(scope="module")
def nine_versions(engine_url: str) -> Cluster:
    """Events of nine model versions, with a median of hundreds of milliseconds."""
    cluster: Cluster = create_fresh_cluster(engine_url)
    index_many(
        cluster,
        "events",
        (
            {
                "@timestamp": START.isoformat(),
                "model_version": f"v{version}",
                "status": "error" if number == 0 else "success",
                **dict.fromkeys(LATENCIES, 0.304 if number < 20 else 12.3),
                "gen_ai": {"usage": {"input_tokens": 38_500, "output_tokens": 38_500}},
                "cost_usd": 0.123,
            }
            for version in range(9)
            for number in range(30)
        ),
    )
    return cluster


def open_sections(visit: Visit) -> None:
    """Open every section and wait for its panels."""
    closed = visit.page.locator('.section-toggle[aria-expanded="false"]')
    while closed.count():
        closed.first.click()
    visit.page.locator(".panel-body:empty").first.wait_for(state="detached", timeout=2 * PATIENCE_MS)
    visit.wait_until_settled()


def test_every_panel_of_our_dashboards_is_drawn_from_known_events(
    window: Any, filled: Cluster, all_of_them: Any
) -> None:
    with window(filled, height=ALL_PANELS_PX) as visit:
        for dashboard in OURS.values():
            visit.go(dashboard.id, **all_of_them)
            open_sections(visit)
            ids = visit.page.locator(".panel").evaluate_all("panels => panels.map((panel) => panel.dataset.panel)")
            assert sorted(ids) == sorted(panel.id for panel in list_panels(dashboard.body))
            assert visit.page.locator(".panel-error").all_inner_texts() == []
            assert visit.page.get_by_text("does not support").count() == 0


@pytest.mark.parametrize("width", [400, 800, 1280, 1500])
@pytest.mark.parametrize("versions", [4, 9])
def test_no_figure_or_version_of_a_tile_is_cut(
    width: int, versions: int, window: Any, nine_versions: Cluster, all_of_them: Any
) -> None:
    with window(nine_versions, width=width, height=ALL_PANELS_PX) as visit:
        visit.go("inferlog-overview", **all_of_them, f=[f"model_version:v{number}" for number in range(versions)])
        open_sections(visit)
        tiles = visit.page.locator(".tile:has(.tile-secondary)")
        assert tiles.count() >= versions
        assert tiles.evaluate_all(CUT_TEXTS) == []


def test_stack_without_events_shows_empty_panels_without_errors(window: Any, empty: Cluster, all_of_them: Any) -> None:
    with window(empty, height=ALL_PANELS_PX) as visit:
        for dashboard in OURS.values():
            visit.go(dashboard.id, **all_of_them)
            open_sections(visit)
            assert visit.page.locator(".panel-error").all_inner_texts() == []
            assert "No events yet" in visit.page.locator(".notice").inner_text()
        visit.go("inferlog-overview", **all_of_them)
        assert visit.find_panel("p99").inner_text().endswith("No events in this range")


def test_range_after_the_newest_event_links_to_it(window: Any, filled: Cluster) -> None:
    with window(filled) as visit:
        visit.go("inferlog-overview", **{"from": "2024-11-23T06:00:00Z", "to": "2025-11-23T06:00:00Z", "refresh": 0})
        assert visit.page.locator(".notice").count() == 0  # they are later than that
        visit.go("inferlog-overview", **{"from": "2027-11-23T06:00:00Z", "to": "2027-11-24T06:00:00Z", "refresh": 0})
        assert "The newest event is of 23 Nov 2026" in visit.page.locator(".notice").inner_text()
        visit.page.get_by_role("button", name="Go there").click()
        visit.page.locator("[data-panel=p99] .tile").first.wait_for()


def test_unprovisioned_stack_shows_one_notice_with_the_command(window: Any, engine_url: str) -> None:
    with window(Cluster(url=engine_url, namespace="nobody")) as visit:
        visit.page.goto(visit.url)
        said = visit.page.locator(".notice")
        said.wait_for()
        assert "create it with: inferlog provision --namespace nobody" in said.inner_text()
        assert visit.page.locator(".panel-error").count() == 0


def test_unreachable_elasticsearch_shows_a_notice_until_it_recovers(
    window: Any, engine_url: str, all_of_them: Any
) -> None:
    with window(Cluster(url="http://127.0.0.1:1")) as visit:
        visit.page.goto(visit.url)
        said = visit.page.locator(".notice")
        said.wait_for()
        assert "no answer from http://127.0.0.1:1" in said.inner_text()


def test_unknown_dashboard_shows_a_notice(window: Any, empty: Cluster) -> None:
    with window(empty, refusals=True) as visit:
        visit.page.goto(f"{visit.url}/#/view/inferlog-nothing")
        said = visit.page.get_by_role("alert").filter(has_text="there is no dashboard inferlog-nothing")
        said.wait_for()
        visit.page.get_by_role("link", name="Canary").click()
        visit.page.get_by_role("heading", level=1, name="Canary").wait_for()


def test_stopped_server_shows_a_notice(window: Any, engine_url: str, all_of_them: Any) -> None:
    cluster = create_fresh_cluster(engine_url)
    with window(cluster, refusals=True) as visit:
        visit.go("inferlog-overview", **all_of_them)
        visit.page.route("**/api/**", lambda route: route.abort())
        visit.page.get_by_role("button", name="Refresh", exact=True).click()
        said = visit.page.locator(".notice").filter(has_text="is inferlog preview still running?")
        said.wait_for()
        visit.page.unroute("**/api/**")
        visit.page.get_by_role("button", name="Refresh", exact=True).click()
        said.wait_for(state="detached")
