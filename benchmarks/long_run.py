"""
The whole pipeline for an hour at 500 events a second: does it lose, double, grow or fall behind?

    .venv/bin/python benchmarks/long_run.py                    # an hour
    .venv/bin/python benchmarks/long_run.py --seconds 600      # ten minutes: memory is judged from here on
    .venv/bin/python benchmarks/long_run.py --quick            # one minute

The embedded engine, the shipper and the example service with two workers run as processes of their own, in a home of
their own. A client asks at a fixed pace; every ten seconds each process, the log files and the shipper's state are
looked at, and every event's lag is measured (see lag_probe.py). Files are kept for a minute once they are shipped, so
that they are deleted all through the run. At the end each event is looked at. Exit code 1: one of the promises does not
hold.
"""

import argparse
import os
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import command
import orjson
from command import tell
from engines import home_for
from every_event import count_findings, every_event
from lag_probe import LagProbe
from long_run_report import report_of
from paced_client import quantiles
from pipeline import SERVICE_NAME, Store, files_and_bytes, running_service, running_store, workers_of
from promises import end_by
from report import show
from vitals import busy_seconds, heap_of, vitals_of

from inferlog_ops.bench.machine import Machine
from inferlog_ops.children import Child
from inferlog_ops.home import Home
from inferlog_ops.provisioning.namespace import stream_name

SAMPLE_SECONDS = 10.0
COLLECTIONS = tuple(share / 100 for share in (*range(10, 20, 2), *range(90, 100, 2)))
"""
When the engine's heap is collected, as shares of the run: five times in its second tenth and five times in its last.
In between it is left alone, and takes of the system what it takes in ordinary use.
"""
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

Sample = dict[str, Any]


def main() -> None:
    options = parsed_options()
    if options.from_json:
        figures = orjson.loads(options.from_json.read_bytes())["figures"]
    else:
        with home_for(options.home) as home:
            figures = measured(options, home)
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


def measured(options: argparse.Namespace, home: Home) -> dict[str, Any]:
    """Run the load on *home* and return everything that was seen."""
    run = f"run{secrets.token_hex(4)}"
    began = datetime.now(UTC)
    with running_store(home) as store:
        service = running_service(home, workers=options.workers, versions=VERSIONS, library=RETENTION)
        with service as (url, server), LagProbe(store.cluster, service=SERVICE_NAME) as probe:
            load = started_load(home, url, run, options)
            try:
                samples = list(sampled(store, server, load, probe, options.seconds))
            finally:
                load.stop()
            sent = last_line(load)
            wait_for_events(store, probe, sent["sent"])
            lags = quantiles(probe.lags())
            found_by_probe = probe.found
        tell(f"looking at each of {sent['sent']:,} events")
        findings = count_findings(every_event(store.cluster), run, sent["sent"])
    return {
        "began": began.isoformat(timespec="seconds"),
        "machine": Machine.this().line(),
        "seconds": options.seconds,
        "rate": options.rate,
        "workers": options.workers,
        "retention": RETENTION,
        "sent": sent,
        "findings": asdict(findings) | {"lost": findings.lost, "duplicated": findings.duplicated},
        "lag": {"events": found_by_probe, "p50_seconds": lags[0], "p99_seconds": lags[1]},
        "samples": samples,
    }


def started_load(home: Home, url: str, run: str, options: argparse.Namespace) -> Child:
    line = [sys.executable, str(Path(__file__).with_name("paced_client.py")), "--url", url, "--run", run]
    line += ["--rate", str(options.rate), "--seconds", str(options.seconds)]
    return Child("load", line, output=home.output)


def sampled(store: Store, server: Child, load: Child, probe: LagProbe, seconds: float) -> Iterator[Sample]:
    """Yield a look at everything each few seconds, until the load has ended."""
    between_seconds = min(SAMPLE_SECONDS, seconds / 20)
    collections = [share * seconds for share in COLLECTIONS]
    pids = {"engine": store.engine_pid, "shipper": store.shipper.pid, "client": load.pid}
    pids |= {f"worker {number}": pid for number, pid in enumerate(workers_of(server), start=1)}
    files = LogFiles(store.home.logs)
    began = next_look = time.monotonic()
    before, machine_before = {name: vitals_of(pid) for name, pid in pids.items()}, busy_seconds()
    while True:
        next_look += between_seconds
        time.sleep(max(0.0, next_look - time.monotonic()))
        if (line := last_line(load)).get("ended"):
            return
        for part in (store.shipper, server, load, probe):
            part.check()
        after_seconds = time.monotonic() - began
        collect = bool(collections) and after_seconds >= collections[0]
        if collect:
            collections.pop(0)
        now, machine = {name: vitals_of(pid) for name, pid in pids.items()}, busy_seconds()
        sample = {
            "after_seconds": round(after_seconds, 1),
            "load_average": os.getloadavg()[0],
            "machine_cores": (machine - machine_before) / (now["client"].at_seconds - before["client"].at_seconds),
            "client": line,
            "processes": {name: asdict(seen) | {"cores": seen.cores_since(before[name])} for name, seen in now.items()},
            "heap": asdict(heap_of(store.cluster, store.engine_pid, collect=collect)),
            **lag_of(probe),
            **files.look(),
            **state_of(store.home),
            **index_of(store),
        }
        before, machine_before = now, machine
        with (store.home.output / "samples.jsonl").open("ab") as kept:  # for whoever ends it before its time
            kept.write(orjson.dumps(sample, option=orjson.OPT_APPEND_NEWLINE))
        tell(progress(sample) + probe.said_of_failures())
        yield sample


def lag_of(probe: LagProbe) -> Sample:
    p50, p99 = quantiles(probe.recent_lags())
    return {
        "found": probe.found,
        "lag_p50_seconds": p50,
        "lag_p99_seconds": p99,
        "probe_look_seconds": probe.look_seconds / max(1, probe.looks),
        "probe_failures": probe.failures,
    }


class LogFiles:
    """The service's and the shipper's log files: those that are there, and how many were begun in all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun: set[str] = set()

    def look(self) -> Sample:
        # Each stays for longer than from one look to the next.
        self._begun |= {path.name for path in self._folder.glob("*.jsonl")}
        files, size_bytes = files_and_bytes(self._folder, "*.jsonl")
        return {"log_files": files, "log_bytes": size_bytes, "log_files_begun": len(self._begun)}


def state_of(home: Home) -> Sample:
    own_files, own_bytes = files_and_bytes(home.shipper_state)
    published_files, published_bytes = files_and_bytes(home.logs / ".shipped")
    return {"state_files": own_files + published_files, "state_bytes": own_bytes + published_bytes}


def index_of(store: Store) -> dict[str, int]:
    """Return documents, bytes and segments of the events' index."""
    with store.cluster.client() as client:
        stats = client.indices.stats(
            index=stream_name("events", store.cluster.namespace), metric="docs,store,segments", filter_path="_all.total"
        )["_all"]["total"]
    return {
        "index_documents": stats["docs"]["count"],
        "index_bytes": stats["store"]["size_in_bytes"],
        "index_segments": stats["segments"]["count"],
    }


def last_line(load: Child) -> dict[str, Any]:
    """Return what the client said last."""
    lines = load.output_file.read_bytes().rpartition(b"\n")[0].splitlines()
    if not lines:
        return {"sent": 0, "answered": 0, "failed": 0, "ended": False, "p50_seconds": None, "p99_seconds": None}
    line: dict[str, Any] = orjson.loads(lines[-1])
    return line


def wait_for_events(store: Store, probe: LagProbe, sent: int) -> None:
    """Return once *sent* events were found, or when they have had time enough."""
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while probe.found < sent:
        store.shipper.check()
        probe.check()
        if time.monotonic() > deadline:
            tell(f"{probe.found:,} of {sent:,} events found after {CATCH_UP_SECONDS:.0f} s")
            return
        time.sleep(0.2)


def progress(sample: Sample) -> str:
    processes = " ".join(
        f"{name} {seen['resident_bytes'] / 1e6:.0f} MB {seen['cores']:.2f}"
        for name, seen in sample["processes"].items()
    )
    live = sample["heap"]["live_bytes"]
    return (
        f"{sample['after_seconds']:.0f} s: {sample['client']['answered']:,} answered, {sample['found']:,} found, "
        f"lag p99 {sample['lag_p99_seconds'] or float('nan'):.2f} s, {processes}, "
        f"{sample['log_files']} files {sample['log_bytes'] / 1e6:.0f} MB, state {sample['state_bytes']:,} bytes, "
        f"index {sample['index_bytes'] / 1e6:.0f} MB, machine {sample['machine_cores']:.1f} cores, "
        f"load {sample['load_average']:.1f}, look {sample['probe_look_seconds'] * 1e3:.0f} ms"
        + (f", live heap {live / 1e6:.0f} MB" if live else "")
    )


if __name__ == "__main__":
    command.run(main)
