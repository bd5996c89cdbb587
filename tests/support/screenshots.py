"""
Draws docs/images/*.png: the preview page about a few minutes of the demo's own service.

    .venv/bin/python tests/screenshots.py [--minutes 6]

Runs what scripts/demo runs, with the simulated backend, on a home of its own that is gone afterwards.
"""

import argparse
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inferlog_ops.core.home import Home
from inferlog_ops.demo import services
from tests.support.browsing import Visit, address_of, running_browser, visiting
from tests.support.locust_runs import LOCUSTFILE

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
LARGEST_BYTES = 300_000
HIGHEST_PER_SECOND = 60
WINDOW = {"width": 1280, "height": 1010}
PHONE = {"width": 390, "height": 844}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6, help="of traffic, before the pictures are taken")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        with (
            services.held(home),
            services.running(
                home, None, backend="simulated", port=0, namespace="default", with_page=False, say=tell
            ) as running,
        ):
            began = datetime.now(UTC)
            send_for(running.server_url, minutes * 60)
            take(running, began, datetime.now(UTC))
    return 0


def send_for(url: str, seconds: float) -> None:
    """Send requests as in the course of a day, so that there is something to see over time."""
    tell(f"sending requests for {seconds:.0f} s")
    load = ("--curve", "day", "--rate", HIGHEST_PER_SECOND, "--user-rate", 1, "--duration", f"{seconds:.0f}s")
    command = [sys.executable, "-P", "-m", "locust", "--locustfile", LOCUSTFILE, "--headless", "--only-summary"]
    # Requests that fail are a part of the picture.
    subprocess.run([*map(str, [*command, "--host", url, *load]), "--exit-code-on-error", "0"], check=True)


def take(running: services.Services, began: datetime, ended: datetime) -> None:
    """Open the page about the run, in light and in dark, on a desk and on a phone."""
    shown = {"from": address_of(began), "to": address_of(ended - timedelta(seconds=2)), "refresh": 0, "utc": ""}
    with running_browser() as browser:
        for name, dashboard, options in (
            ("overview-light", "inferlog-overview", WINDOW),
            ("overview-dark", "inferlog-overview", {**WINDOW, "dark": True}),
            ("canary-light", "inferlog-canary", WINDOW),
            ("pipeline-health-dark", "inferlog-pipeline-health", {**WINDOW, "dark": True}),
            ("trace-and-audit-light", "inferlog-trace-and-audit", WINDOW),
            ("overview-phone-dark", "inferlog-overview", {**PHONE, "dark": True}),
        ):
            with visiting(browser, running.cluster, **options) as visit:
                visit.go(dashboard, **shown)
                save(visit, IMAGES / f"{name}.png")


def save(visit: Visit, path: Path) -> None:
    """Save what is in sight once every chart is drawn."""
    for panel in visit.page.locator(".panel").all():
        if panel.evaluate("panel => panel.getBoundingClientRect().top < innerHeight"):
            panel.locator(".panel-body > *").first.wait_for(state="attached")
    visit.page.wait_for_load_state("networkidle")
    path.parent.mkdir(parents=True, exist_ok=True)
    visit.page.screenshot(path=path)
    size = path.stat().st_size
    tell(f"{path.name}: {size:,} bytes")
    assert size <= LARGEST_BYTES, f"{path.name} is larger than {LARGEST_BYTES:,} bytes"


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 (for whoever takes the pictures)


if __name__ == "__main__":
    sys.exit(main())
