"""
Long run of the whole pipeline at 500 events per second: losses, duplicates, growth and lag.

    .venv/bin/python -m benchmarks.long_run                    # an hour
    .venv/bin/python -m benchmarks.long_run --seconds 600      # ten minutes: the minimum to judge memory
    .venv/bin/python -m benchmarks.long_run --quick            # one minute

The embedded engine, the shipper and the example service with two workers run as separate processes in their own home.
A client sends requests at a fixed pace. Every ten seconds, the processes, the log files and the shipper's state are
polled, and every event's lag is measured (see lag_probe.py). Files are kept for a minute after they are shipped, so
files are deleted during the whole run. At the end, every event is checked. A failed poll is reported and counted; an
interrupted run prints the samples so far.
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

from benchmarks import command_line
from benchmarks.benchmark_report import exit_if_missed, show_report
from benchmarks.command_line import log_progress
from benchmarks.engines import open_home
from benchmarks.every_event import count_findings, read_every_event
from benchmarks.lag_probe import LagProbe
from benchmarks.long_run_polls import PipelinePoller, add_sample, read_last_line
from benchmarks.long_run_report import build_report
from benchmarks.machine import Machine
from benchmarks.paced_client import compute_quantiles
from benchmarks.pipeline import SERVICE_NAME, RunningStore, run_service, run_store
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
    options = parse_options()
    figures = orjson.loads(options.from_json.read_bytes())["figures"] if options.from_json else measure(options)
    report = build_report(figures)
    show_report(report, options)
    exit_if_missed(report)


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument("--seconds", type=float, help="duration of the load; default: 3600, quick 60")
    parser.add_argument("--rate", type=float, default=500, help="requests per second; default: %(default)s")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of the service; default: %(default)s")
    parser.add_argument(
        "--home",
        type=Path,
        help="directory to keep; a running engine in it is used. Default: a temporary directory",
    )
    parser.add_argument("--from-json", type=Path, help="output of --json to judge and show, without measuring")
    return command_line.parse_options(parser, full={"seconds": 3600.0}, quick={"seconds": 60.0})


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the load and return all figures; if it ends early, show the samples so far and raise."""
    figures: dict[str, Any] = {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": Machine.describe_this().format_line(),
        "seconds": options.seconds,
        "rate": options.rate,
        "workers": options.workers,
        "retention": RETENTION,
        "samples": [],
        "failed_looks": [],
    }
    try:
        with open_home(options.home) as home:
            figures |= run_load(options, home, figures)
    except BaseException as reason:
        if figures["samples"]:
            show_report(build_report(figures | {"ended_early": str(reason) or type(reason).__name__}), options)
        raise
    return figures


def run_load(options: argparse.Namespace, home: Home, figures: dict[str, Any]) -> dict[str, Any]:
    """Run the load on *home*, append each sample to *figures*, and return the final figures."""
    run = f"run{secrets.token_hex(4)}"
    with run_store(home) as store:
        service = run_service(home, workers=options.workers, versions=VERSIONS, library=RETENTION)
        with service as (url, server), LagProbe(store.cluster, service=SERVICE_NAME) as probe:
            load = start_load(home, url, run, options)
            try:
                poller = PipelinePoller(store, server, load, probe, options.seconds)
                for after_seconds in wait_for_polls(load, min(SAMPLE_SECONDS, options.seconds / 20)):
                    for part in (store.shipper, server, load, probe):
                        part.check()
                    add_sample(figures, poller.poll, after_seconds)
            finally:
                load.stop()
            sent = read_last_line(load)
            wait_for_events(store, probe, sent["sent"])
            lags = compute_quantiles(probe.list_lags())
            found_by_probe = probe.found
        log_progress(f"checking each of {sent['sent']:,} events")
        findings = count_findings(read_every_event(store.cluster), run, sent["sent"])
    return {
        "sent": sent,
        "findings": asdict(findings) | {"lost": findings.lost, "duplicated": findings.duplicated},
        "lag": {"events": found_by_probe, "p50_seconds": lags[0], "p99_seconds": lags[1]},
    }


def start_load(home: Home, url: str, run: str, options: argparse.Namespace) -> Child:
    line = [sys.executable, "-m", "benchmarks.paced_client", "--url", url, "--run", run]
    line += ["--rate", str(options.rate), "--seconds", str(options.seconds)]
    return Child("load", line, output=home.output)


def wait_for_polls(load: Child, between_seconds: float) -> Iterator[float]:
    """Yield the elapsed seconds at each interval until the load has ended."""
    began = next_poll = time.monotonic()
    while True:
        next_poll += between_seconds
        time.sleep(max(0.0, next_poll - time.monotonic()))
        if read_last_line(load).get("ended"):
            return
        yield time.monotonic() - began


def wait_for_events(store: RunningStore, probe: LagProbe, sent: int) -> None:
    """Return when *sent* events were found, or after a timeout."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while probe.found < sent:
        store.shipper.check()
        probe.check()
        if time.monotonic() > deadline:
            found = f"{probe.found:,} of {sent:,} events found after {CATCH_UP_SECONDS:.0f} s"
            log_progress(found + probe.describe_failures())
            return
        time.sleep(0.2)


if __name__ == "__main__":
    command_line.run_main(main)
