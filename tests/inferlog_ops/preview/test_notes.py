"""Notes of the page: missing rows, grouped model versions, future events."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.preview.app import create_app
from tests.support.browsing import Visit, format_address
from tests.support.indexing import create_fresh_cluster, index_many
from tests.support.serving import serve_app

VERSIONS = [f"v{number:02d}" for number in range(60)]
EVENTS = 1_200
NOW = datetime.now(UTC)
START, END = NOW - timedelta(minutes=30), NOW
AHEAD = [timedelta(minutes=40), timedelta(minutes=50)]
RANGE = {"from": START.isoformat(), "to": END.isoformat()}


def _build_event(at: datetime, version: str) -> dict[str, Any]:
    return {
        "@timestamp": at.isoformat(),
        "model_version": version,
        "status": "success",
        "latency_seconds": 0.5,
        "gen_ai": {"usage": {"input_tokens": 1}},
        "correlation_id": "c1",
    }


def _build_events() -> Iterator[dict[str, Any]]:
    for number in range(EVENTS):
        yield _build_event(START + number * timedelta(seconds=1), VERSIONS[number % len(VERSIONS)])
    for ahead in AHEAD:
        yield _build_event(NOW + ahead, VERSIONS[0])


@pytest.fixture(scope="module")
def many(engine_url: str) -> Cluster:
    cluster: Cluster = create_fresh_cluster(engine_url)
    index_many(cluster, "events", _build_events())
    return cluster


@pytest.fixture(scope="module")
def visit(window: Any, many: Cluster) -> Iterator[Visit]:
    with window(many) as visit:
        yield visit


@pytest.fixture
def shown_range() -> dict[str, Any]:
    return {"from": format_address(START), "to": format_address(END), "refresh": 0, "utc": ""}


def _get(cluster: Cluster, path: str, **parameters: str) -> Any:
    with serve_app(create_app(cluster)) as url, urllib3.PoolManager(retries=False) as pool:
        return pool.request("GET", f"{url}{path}?{urlencode(parameters)}").json()


def test_panel_groups_other_versions_and_has_a_note(many: Cluster) -> None:
    answered = _get(many, "/api/dashboards/inferlog-overview/panels/requests-per-second", **RANGE)
    (answer,) = answered["answers"]
    requests = [column["name"] for column in answer["columns"]].index("requests")
    assert len(answer["rows"]) == 51
    assert sum(row[requests] for row in answer["rows"]) == EVENTS
    assert [(note["kind"], note["count"]) for note in answer["notes"]] == [("other_versions", 10 * EVENTS / 60)]


def test_chart_has_the_20_busiest_versions_and_the_others(many: Cluster) -> None:
    (answer,) = _get(many, "/api/dashboards/inferlog-overview/panels/tokens-in-out", **RANGE)["answers"]
    names = [column["name"] for column in answer["columns"]]
    version, tokens = names.index("model_version"), names.index("input_tokens")
    assert {row[version] for row in answer["rows"]} == {*VERSIONS[:20], "(other)"}
    assert sum(row[tokens] for row in answer["rows"]) == EVENTS, "one of each event"


def test_panel_counts_the_rows_that_it_lacks(many: Cluster) -> None:
    (answer,) = _get(many, "/api/dashboards/inferlog-trace-and-audit/panels/trace", **RANGE)["answers"]
    assert [(note["kind"], note["count"]) for note in answer["notes"]] == [("missing_rows", EVENTS - 1_000)]


def test_status_counts_the_events_of_the_future(many: Cluster, empty: Cluster) -> None:
    note = _get(many, "/api/status")["future_events"]
    assert (note["kind"], note["count"]) == ("future_events", len(AHEAD))
    assert _get(empty, "/api/status")["future_events"] is None


def test_missing_rows_are_counted_next_to_the_title(visit: Visit, shown_range: dict[str, Any]) -> None:
    visit.go("inferlog-trace-and-audit", **shown_range)
    missing = visit.find_panel("trace").locator(".panel-missing")
    assert missing.inner_text() == "at least 200 rows missing"
    assert "1,000 of 1,200 are shown" in (missing.get_attribute("title") or "")
    assert visit.find_panel("callers").locator(".panel-missing").is_hidden()


def test_other_versions_cannot_be_selected_as_a_filter(visit: Visit, shown_range: dict[str, Any]) -> None:
    visit.go("inferlog-overview", **shown_range)
    tiles = visit.find_panel("p99")
    assert tiles.locator("span.tile-title", has_text="(other)").count() == 1
    assert tiles.locator("button.tile-title").count() == 50


def test_events_of_the_future_are_counted_above_a_range_that_ends_now(
    visit: Visit, shown_range: dict[str, Any]
) -> None:
    visit.go("inferlog-overview", **{**shown_range, "from": "now-1h", "to": "now"})
    assert "2 events are later than the end of the range" in visit.page.locator(".notice").inner_text()
    past = format_address(END - timedelta(minutes=10))
    visit.go("inferlog-overview", **{**shown_range, "to": past})
    assert visit.page.locator(".notice").count() == 0
