"""
The whole pipeline for an hour at 500 events a second: does it lose, double, grow or fall behind?

    .venv/bin/python -m benchmarks.long_run                    # an hour
    .venv/bin/python -m benchmarks.long_run --seconds 600      # ten minutes: memory is judged from here on
    .venv/bin/python -m benchmarks.long_run --quick            # one minute

The embedded engine, the shipper and the example service with two workers run as processes of their own, in a home of
their own. A client asks at a fixed pace; every ten seconds each process, the log files and the shipper's state are
looked at, and every event's lag is measured (see lag_probe.py). Files are kept for a minute once they are shipped, so
that they are deleted all through the run. At the end each event is looked at. A look that fails is told and counted;
of a run that ends before its time what was seen until then is shown.
"""

import argparse
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from benchmarks import command
from benchmarks.command import tell
from benchmarks.engines import home_for
from benchmarks.every_event import count_findings, every_event
from benchmarks.goals import end_by
from benchmarks.lag_probe import LagProbe
from benchmarks.long_run_looks import Looks, add_look, last_line
from benchmarks.long_run_report import report_of
from benchmarks.machine import Machine
from benchmarks.paced_client import quantiles
from benchmarks.pipeline import SERVICE_NAME, Store, running_service, running_store
from benchmarks.results import show
from inferlog_ops.core.children import Child
from inferlog_ops.core.home import Home

SAMPLE_SECONDS = 10.0
CATCH_UP_SECONDS = 120.0
VERSIONS = [
    {"name": name, "share": share, "simulated": {"first_token_median_seconds": 0.005, "token_median_seconds": 0}}
    for name, share in (("v1", 80), ("v2", 20))
]
RETENTION = {
    "INFERLOG_MAX_FILE_BYTES": str(8 * 1024**2),
    "INFERLOG_MAX_FILE_AGE_SECONDS": "300",
    "INFERLOG_KEEP_SHIPPED_SECONDS": "60",
}


def main() -> None:
    options = parsed_options()
    figures = orjson.loads(options.from_json.read_bytes())["figures"] if options.from_json else measured(options)
    report = report_of(figures)
    show(report, options)
    end_by(report)


def parsed_options() -> argparse.Namespace:
    parser = command.parser(__doc__)
    parser.add_argument("--seconds", type=float, help="how long the load lasts; default: 3600, quick 60")
    parser.add_argument("--rate", type=float, default=500, help="requests a second; default: %(default)s")
    parser.add_argument("--workers", type=int, default=2, help="processes of the service; default: %(default)s")
    parser.add_argument(
        "--home",
        type=Path,
        help="keep everything here; an engine that runs there is used. Default: a temporary directory",
    )
    parser.add_argument("--from-json", type=Path, help="measure nothing; judge and show what --json printed into this")
    return command.parsed(parser, full={"seconds": 3600.0}, quick={"seconds": 60.0})


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Run the load and return everything that was seen; if it ends before its time, show that and go on ending."""
    figures: dict[str, Any] = {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": Machine.this().line(),
        "seconds": options.seconds,
        "rate": options.rate,
        "workers": options.workers,
        "retention": RETENTION,
        "samples": [],
        "failed_looks": [],
    }
    try:
        with home_for(options.home) as home:
            figures |= run_load(options, home, figures)
    except BaseException as reason:
        if figures["samples"]:
            show(report_of(figures | {"ended_early": str(reason) or type(reason).__name__}), options)
        raise
    return figures


def run_load(options: argparse.Namespace, home: Home, figures: dict[str, Any]) -> dict[str, Any]:
    """Run the load on *home*, add each look to *figures*, and return what its end shows."""
    run = f"run{secrets.token_hex(4)}"
    with running_store(home) as store:
        service = running_service(home, workers=options.workers, versions=VERSIONS, library=RETENTION)
        with service as (url, server), LagProbe(store.cluster, service=SERVICE_NAME) as probe:
            load = started_load(home, url, run, options)
            try:
                looks = Looks(store, server, load, probe, options.seconds)
                for after_seconds in moments(load, min(SAMPLE_SECONDS, options.seconds / 20)):
                    for part in (store.shipper, server, load, probe):
                        part.check()
                    add_look(figures, looks.look, after_seconds)
            finally:
                load.stop()
            sent = last_line(load)
            wait_for_events(store, probe, sent["sent"])
            lags = quantiles(probe.lags())
            found_by_probe = probe.found
        tell(f"looking at each of {sent['sent']:,} events")
        findings = count_findings(every_event(store.cluster), run, sent["sent"])
    return {
        "sent": sent,
        "findings": asdict(findings) | {"lost": findings.lost, "duplicated": findings.duplicated},
        "lag": {"events": found_by_probe, "p50_seconds": lags[0], "p99_seconds": lags[1]},
    }


def started_load(home: Home, url: str, run: str, options: argparse.Namespace) -> Child:
    line = [sys.executable, "-m", "benchmarks.paced_client", "--url", url, "--run", run]
    line += ["--rate", str(options.rate), "--seconds", str(options.seconds)]
    return Child("load", line, output=home.output)


def moments(load: Child, between_seconds: float) -> Iterator[float]:
    """Yield, each so many seconds, how many have passed, until the load has ended."""
    began = next_look = time.monotonic()
    while True:
        next_look += between_seconds
        time.sleep(max(0.0, next_look - time.monotonic()))
        if last_line(load).get("ended"):
            return
        yield time.monotonic() - began


def wait_for_events(store: Store, probe: LagProbe, sent: int) -> None:
    """Return once *sent* events were found, or when they have had time enough."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while probe.found < sent:
        store.shipper.check()
        probe.check()
        if time.monotonic() > deadline:
            found = f"{probe.found:,} of {sent:,} events found after {CATCH_UP_SECONDS:.0f} s"
            tell(found + probe.said_of_failures())
            return
        time.sleep(0.2)


if __name__ == "__main__":
    command.run(main)
