"""
Generator of docs/images/*.png: the preview page with a few minutes of the demo's service.

    .venv/bin/python -m tests.support.screenshots [--minutes 6]
    KIBANA_URL=… ELASTICSEARCH_URL=… .venv/bin/python -m tests.support.screenshots --kibana

Runs the services of scripts/demo with the simulated backend, in a temporary home. With --kibana: the golden documents
in an empty Kibana with its Elasticsearch.
"""

import argparse
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from inferlog_ops.core.home import Home
from inferlog_ops.demo import services
from tests.golden import END, START
from tests.support.browsing import Visit, format_address, open_preview, run_browser
from tests.support.kibana_browsing import open_kibana
from tests.support.locust_runs import LOCUSTFILE
from tests.support.real_kibana import provision_golden, require_kibana

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
LARGEST_BYTES = 300_000
HIGHEST_PER_SECOND = 60
WINDOW: dict[str, Any] = {"width": 1280, "height": 1010}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6, help="minutes of traffic before the screenshots")
    parser.add_argument("--kibana", action="store_true", help="screenshots of Kibana instead of the preview page")
    options = parser.parse_args()
    if options.kibana:
        take_of_kibana()
        return 0
    minutes = options.minutes
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        with (
            services.hold_lock(home),
            services.start_services(
                home, None, backend="simulated", port=0, namespace="default", with_page=False, report=log_progress
            ) as running,
        ):
            began = datetime.now(UTC)
            send_for(running.server_url, minutes * 60)
            take(running, began, datetime.now(UTC))
    return 0


def send_for(url: str, seconds: float) -> None:
    """Send requests with a rate that varies over time."""
    log_progress(f"sending requests for {seconds:.0f} s")
    load = ("--curve", "day", "--rate", HIGHEST_PER_SECOND, "--user-rate", 1, "--duration", f"{seconds:.0f}s")
    command = [sys.executable, "-P", "-m", "locust", "--locustfile", LOCUSTFILE, "--headless", "--only-summary"]
    # Failed requests are intended.
    subprocess.run([*map(str, [*command, "--host", url, *load]), "--exit-code-on-error", "0"], check=True)


def take(running: services.Services, began: datetime, ended: datetime) -> None:
    """Open two dashboards of the page, in the time range of the run."""
    shown = {"from": format_address(began), "to": format_address(ended - timedelta(seconds=2)), "refresh": 0, "utc": ""}
    with run_browser() as browser:
        for name in ("overview", "canary"):
            with open_preview(browser, running.cluster, **WINDOW) as visit:
                visit.go(f"inferlog-{name}", **shown)
                save(visit, IMAGES / f"{name}-light.png")


def take_of_kibana() -> None:
    """Open two dashboards of Kibana, in the namespace "default"."""
    provisioned = provision_golden(*require_kibana())
    with run_browser() as browser, open_kibana(browser, provisioned.url) as visit:
        for dashboard in ("inferlog-overview", "inferlog-pipeline-health"):
            visit.open(dashboard, START, END)
            save_file(visit.page, IMAGES / f"kibana-{dashboard.removeprefix('inferlog-')}.png")


def save(visit: Visit, path: Path) -> None:
    """Save a screenshot when every chart is drawn."""
    for panel in visit.page.locator(".panel").all():
        if panel.evaluate("panel => panel.getBoundingClientRect().top < innerHeight"):
            panel.locator(".panel-body > *").first.wait_for(state="attached")
    visit.page.wait_for_load_state("networkidle")
    save_file(visit.page, path)


def save_file(page: Page, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)
    size = path.stat().st_size
    log_progress(f"{path.name}: {size:,} bytes")
    assert size <= LARGEST_BYTES, f"{path.name} is larger than {LARGEST_BYTES:,} bytes"


def log_progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 (progress)


if __name__ == "__main__":
    sys.exit(main())
