"""Dashboards in a real browser, over documents with markup in every text: it is displayed and never executed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query.dashboards import files
from tests.support.browsing import format_address, open_preview, run_browser
from tests.support.indexing import create_fresh_cluster, index

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SCRIPT = '<img src=x onerror="alert(1)"><script>alert(2)</script>"><svg onload=alert(3)>${alert(4)}{{alert(5)}}'
LINK = "javascript:alert(6)"
TALL = 3_000


def build_document(stream: str, minute: int, **more: Any) -> dict[str, Any]:
    return {
        "@timestamp": (NOW - timedelta(minutes=minute, seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "event": {"id": uuid4().hex, "dataset": f"inference.{stream}", "sequence": minute, "action": SCRIPT},
        "service": {"name": SCRIPT, "version": SCRIPT, "environment": SCRIPT, "instance": {"id": SCRIPT}},
        "request_id": SCRIPT,
        "correlation_id": SCRIPT,
        "model_name": SCRIPT,
        "labels": {"tenant": SCRIPT, "link": LINK},
        **more,
    }


@pytest.fixture(scope="module")
def hostile(engine_url: str) -> Cluster:
    cluster = create_fresh_cluster(engine_url)
    events = (
        build_document(
            "events",
            minute,
            model_version=version,
            status="error",
            latency_seconds=1.0 + minute,
            http={"route": f"/{SCRIPT}", "request": {"method": SCRIPT}, "response": {"status_code": 500}},
            client={"id": SCRIPT},
            error={"type": SCRIPT, "message": f"{SCRIPT} {LINK}"},
        )
        for minute in range(8)
        for version in (SCRIPT, LINK)
    )
    index(cluster, "events", events)
    index(cluster, "app", [build_document("app", 1, message=SCRIPT, log={"level": SCRIPT, "logger": SCRIPT})])
    index(cluster, "health", [build_document("health", 1, events_written=5, events_dropped=1)])
    return cluster


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser() as browser:
        yield browser


def test_document_text_never_runs_as_a_script(hostile: Cluster, browser: Browser) -> None:
    shown = ""
    # Its end fails on any executed script, error, or request to another server.
    with open_preview(browser, hostile, height=TALL) as visit:
        for dashboard in files.load_all():
            visit.go(
                dashboard,
                **{"from": format_address(NOW - timedelta(minutes=20)), "to": format_address(NOW), "refresh": 0},
            )
            shown += visit.page.locator("main").inner_text()
            planted = visit.page.locator(
                'img[src="x"], main script, [onerror], [onload], [href^="javascript"], [src^="javascript"]'
            )
            assert planted.count() == 0
    assert shown.count("onerror=") > 5
