"""
Lag of an event, from the end of its request to the first search that returns it.

    .venv/bin/python -m benchmarks.lag                  # 100, 1 000 and 5 000 events/s, a minute each
    .venv/bin/python -m benchmarks.lag --quick          # 100 and 1 000, ten seconds each

Processes write events through the library at a fixed pace, and the shipper sends them to the embedded engine, whose
index refreshes every second. The lag of every event is measured by polling for events not found yet (see lag_probe.py).
It is never underestimated, and overestimated by at most one poll and the pause before it, which the table shows. The
table also shows the time until the shipper sent the event, from the timestamp that it added; the rest is indexing and
the wait for the refresh. A new engine is several times slower, so warm-up events are sent first.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import command_line
from benchmarks.benchmark_report import BenchmarkReport, Goal, Table, exit_if_missed, show_report
from benchmarks.command_line import log_progress
from benchmarks.engines import open_home
from benchmarks.lag_probe import LagProbe
from benchmarks.machine import Machine
from benchmarks.paced_client import compute_quantiles
from benchmarks.pipeline import RunningStore, run_store
from benchmarks.vitals import measure_vitals
from inferlog_ops.core.children import Child
from inferlog_ops.query import library
from inferlog_ops.query.run import fetch_rows

EVENTS_A_WRITER = 2_500.0
"""Per second; higher rates are divided among several writers."""
SECONDS_BETWEEN_POLLS = 0.05
CATCH_UP_SECONDS = 60.0
MOST_P99_SECONDS = 5.0
WARM_UP_RATE = 1_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """
    Lag at one pace.

    Attributes:
        rate: Requested events per second.
        held_rate: Written events per second.
        events: Written events.
        found: Of these, searchable at the end.
        p50_seconds: Median from an event's end until it was found.
        p99_seconds: 99th percentile of the same.
        max_seconds: Maximum of the same.
        sent_p50_seconds: Median from an event's end until the shipper sent it.
        sent_p99_seconds: 99th percentile of the same.
        look_seconds: Average duration of a poll including the pause before it: the maximum error.
        failed_looks: How many looks the store did not answer: each makes the error larger.
        engine_cores: Processors that the engine kept busy; the looks are in it.
        shipper_cores: The same for the shipper.
        load_average: Of the machine, at the end.
    """

    rate: float
    held_rate: float
    events: int
    found: int
    p50_seconds: float | None
    p99_seconds: float | None
    max_seconds: float | None
    sent_p50_seconds: float | None
    sent_p99_seconds: float | None
    look_seconds: float
    failed_looks: int
    engine_cores: float
    shipper_cores: float
    load_average: float


def main() -> None:
    options = parse_options()
    began = datetime.now(UTC)
    with open_home(options.home) as home, run_store(home) as store:
        if options.warm_up_seconds:
            log_progress("warming up")
            measure(store, WARM_UP_RATE, options.warm_up_seconds)
        lags = [measure(store, rate, options.seconds) for rate in options.rates]
    report = BenchmarkReport(
        figures={"began": began, "seconds": options.seconds, "lags": lags},
        tables=[build_table(lags)],
        goals=[goal for lag in lags for goal in judge_goals(lag)],
        remarks=[
            f"{began:%Y-%m-%d}, {Machine.describe_this().format_line()}; {options.seconds:g} s at each pace.",
            *(f"{lag.rate:,.0f} events/s: {lag.failed_looks:,} polls failed." for lag in lags if lag.failed_looks),
        ],
    )
    show_report(report, options)
    exit_if_missed(report)


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument(
        "--rates",
        type=float,
        nargs="+",
        help="events per second, measured one after the other; default: 100, 1 000 and 5 000, quick 100 and 1 000",
    )
    parser.add_argument("--seconds", type=float, help="duration of each rate; default: 60, quick 10")
    parser.add_argument("--warm-up-seconds", type=float, help="warm-up time, not measured; default: 20, quick 5")
    parser.add_argument(
        "--home",
        type=Path,
        help="directory to keep; a running engine in it is used. Default: a temporary directory",
    )
    return command_line.parse_options(
        parser,
        full={"rates": [100.0, 1_000.0, 5_000.0], "seconds": 60.0, "warm_up_seconds": 20.0},
        quick={"rates": [100.0, 1_000.0], "seconds": 10.0, "warm_up_seconds": 5.0},
    )


def measure(store: RunningStore, rate: float, seconds: float) -> Lag:
    """Write *rate* events per second for *seconds*, and wait until all are found."""
    service = f"lag-{rate:g}-{seconds:g}"
    began, engine_before, shipper_before = (
        datetime.now(UTC),
        measure_vitals(store.engine_pid),
        measure_vitals(store.shipper.pid),
    )
    with LagProbe(store.cluster, service=service, seconds_between_polls=SECONDS_BETWEEN_POLLS) as probe:
        writers = start_writers(store, service, rate, seconds)
        try:
            while (written := count_written(writers)) is None:
                store.shipper.check()
                probe.check()
                log_progress(f"{rate:g} events/s: {probe.found:,} found" + probe.describe_failures())
                time.sleep(1.0)
        finally:
            for writer in writers:
                writer.stop()
        engine, shipper = measure_vitals(store.engine_pid), measure_vitals(store.shipper.pid)
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while probe.found < written and time.monotonic() < deadline:
            probe.check()
            time.sleep(0.1)
    (way,) = fetch_rows(
        store.cluster,
        library.find("ingest_lag"),
        began,
        datetime.now(UTC),
        within={"term": {"service.name": service}},
    )
    lags = probe.list_lags()
    p50, p99 = compute_quantiles(lags)
    return Lag(
        rate=rate,
        held_rate=written / seconds,
        events=written,
        found=len(lags),
        p50_seconds=p50,
        p99_seconds=p99,
        max_seconds=max(lags, default=None),
        sent_p50_seconds=way["p50_seconds"],
        sent_p99_seconds=way["p99_seconds"],
        look_seconds=probe.poll_seconds / max(1, probe.polls) + SECONDS_BETWEEN_POLLS,
        failed_looks=probe.failures,
        engine_cores=engine.compute_cores_since(engine_before),
        shipper_cores=shipper.compute_cores_since(shipper_before),
        load_average=os.getloadavg()[0],
    )


def start_writers(store: RunningStore, service: str, rate: float, seconds: float) -> list[Child]:
    writers = max(1, round(rate / EVENTS_A_WRITER))
    line = [sys.executable, "-m", "benchmarks.paced_writer"]
    line += ["--rate", str(rate / writers), "--seconds", str(seconds)]
    environment = {"INFERLOG_SERVICE_NAME": service, "INFERLOG_LOG_DIR": str(store.home.logs)}
    return [
        Child(f"writer-{service}-{number}", line, output=store.home.output, environment=environment)
        for number in range(writers)
    ]


def count_written(writers: Sequence[Child]) -> int | None:
    """Return the number of events written by the *writers*; None while one is still writing."""
    total = 0
    for writer in writers:
        had_ended = writer.has_ended
        words = writer.output_file.read_text()
        if not words.endswith("\n"):
            if had_ended:
                writer.check()
            return None
        total += int(words)
    return total


def judge_goals(lag: Lag) -> Iterator[Goal]:
    yield Goal(
        what=f"{lag.rate:,.0f} events/s: found",
        wanted="all that were written",
        found=f"{lag.found:,} of {lag.events:,}",
        met=lag.found == lag.events > 0,
    )
    yield Goal(
        what=f"{lag.rate:,.0f} events/s: p99",
        wanted=f"≤ {MOST_P99_SECONDS:.0f} s",
        found="nothing was found" if lag.p99_seconds is None else f"{lag.p99_seconds:.2f} s",
        met=lag.p99_seconds is not None and lag.p99_seconds <= MOST_P99_SECONDS,
    )


def build_table(lags: Sequence[Lag]) -> Table:
    return Table(
        title="From written to searchable",
        columns=(
            *("events/s", "written a second", "p50, s", "p99, s", "most, s", "sent after p50, s", "sent after p99, s"),
            *("error at most, s", "processors: engine", "shipper", "load"),
        ),
        rows=[
            [
                f"{lag.rate:,.0f}",
                f"{lag.held_rate:,.0f}",
                *map(_format, (lag.p50_seconds, lag.p99_seconds, lag.max_seconds)),
                *map(_format, (lag.sent_p50_seconds, lag.sent_p99_seconds, lag.look_seconds)),
                *map(_format, (lag.engine_cores, lag.shipper_cores)),
                f"{lag.load_average:.1f}",
            ]
            for lag in lags
        ],
    )


def _format(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.2f}"


if __name__ == "__main__":
    command_line.run_main(main)
