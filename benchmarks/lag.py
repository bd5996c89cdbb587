"""
How soon an event can be found, from the end of its request to the first search that brings it.

    .venv/bin/python benchmarks/lag.py                  # 100, 1 000 and 5 000 events/s, a minute each
    .venv/bin/python benchmarks/lag.py --quick          # 100 and 1 000, ten seconds each

Processes write events through the library at a fixed pace, the shipper carries them into the embedded engine, whose
index refreshes each second. The lag of every event is measured by looking for those not found yet (see lag_probe.py):
it is never too short, and too long by a look and the pause before it at most, which the table tells. Beside it stands
how long an event took until the shipper sent it, by the time that it wrote into the event; the rest is the store's
work and the wait for the refresh. An engine that has just started is several times slower, so some events that do not
count go first. Exit code 1: an event is lost, or a p99 is above 5 s.
"""

import argparse
import io
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from lag_probe import LagProbe
from paced_client import quantiles
from pipeline import Store, home_for, running_store, tell
from rich.box import MARKDOWN, ROUNDED
from rich.console import Console
from rich.table import Table
from vitals import vitals_of

from inferlog_ops.demo.children import Child
from inferlog_ops.ending import exit_code_of
from inferlog_ops.queries import library
from inferlog_ops.queries.run import run as ask

RATES = (100.0, 1_000.0, 5_000.0)
QUICK_RATES = (100.0, 1_000.0)
EVENTS_A_WRITER = 2_500.0
"""A second; more are shared by several writers."""
SECONDS_BETWEEN_LOOKS = 0.05
CATCH_UP_SECONDS = 60.0
MOST_P99_SECONDS = 5.0
WARM_UP_RATE, WARM_UP_SECONDS = 1_000.0, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """
    What one pace gave.

    Attributes:
        rate: Events a second that were due.
        held_rate: Those that were written.
        events: Written.
        found: Of these, searchable at the end.
        p50_seconds: From an event's end until it was found; so are the next two.
        p99_seconds: The same.
        max_seconds: The same.
        sent_p50_seconds: Of that, until the shipper sent it.
        sent_p99_seconds: The same.
        look_seconds: How long a look took on average, the pause before it included: the error at most.
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
    engine_cores: float
    shipper_cores: float
    load_average: float

    @property
    def held(self) -> bool:
        """Whether all were found, and soon enough."""
        return self.found == self.events > 0 and (self.p99_seconds or 0.0) <= MOST_P99_SECONDS


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through all that ends what was started
    options = parsed_options()
    began = datetime.now(UTC)
    with home_for(options.home) as home, running_store(home) as store:
        if options.warm_up_seconds:
            tell("warming up")
            measured(store, WARM_UP_RATE, options.warm_up_seconds)
        lags = [measured(store, rate, options.seconds) for rate in options.rates]
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    if options.json:
        print(orjson.dumps({"began": began, "machine": machine, "seconds": options.seconds, "lags": lags}).decode())
    else:
        print(f"{began:%Y-%m-%d}, {machine}, {options.seconds:g} s at each pace\n")
        print(as_table(lags, markdown=options.markdown))
    if not all(lag.held for lag in lags):
        sys.exit(1)


def parsed_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="events a second, one after the other")
    parser.add_argument("--seconds", type=float, default=60, help="of each; default: %(default)s")
    parser.add_argument(
        "--warm-up-seconds", type=float, default=WARM_UP_SECONDS, help="that do not count; default: %(default)s"
    )
    parser.add_argument(
        "--home",
        type=Path,
        help="keep everything here; an engine that runs there is used. Default: a temporary directory",
    )
    parser.add_argument("--quick", action="store_true", help="100 and 1 000 events/s, ten seconds each")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--markdown", action="store_true", help="print the table for a page of the documentation")
    options = parser.parse_args()
    if options.quick:
        options.rates, options.seconds, options.warm_up_seconds = QUICK_RATES, 10.0, 5.0
    return options


def measured(store: Store, rate: float, seconds: float) -> Lag:
    """Write *rate* events a second for so many *seconds*, and wait until all of them are found."""
    service = f"lag-{rate:g}-{seconds:g}"
    began, engine_before, shipper_before = datetime.now(UTC), vitals_of(store.engine_pid), vitals_of(store.shipper.pid)
    with LagProbe(store.cluster, service=service, seconds_between_looks=SECONDS_BETWEEN_LOOKS) as probe:
        writers = started_writers(store, service, rate, seconds)
        try:
            while (written := total_written(writers)) is None:
                store.shipper.check()
                tell(f"{rate:g} events/s: {probe.found:,} found")
                time.sleep(1.0)
        finally:
            for writer in writers:
                writer.stop()
        engine, shipper = vitals_of(store.engine_pid), vitals_of(store.shipper.pid)
        deadline = time.monotonic() + CATCH_UP_SECONDS
        while probe.found < written and time.monotonic() < deadline:
            time.sleep(0.1)
    (way,) = ask(
        store.cluster,
        library.find("ingest_lag"),
        began,
        datetime.now(UTC),
        within={"term": {"service.name": service}},
    )
    lags = probe.lags()
    p50, p99 = quantiles(lags)
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
        look_seconds=probe.look_seconds / max(1, probe.looks) + SECONDS_BETWEEN_LOOKS,
        engine_cores=engine.cores_since(engine_before),
        shipper_cores=shipper.cores_since(shipper_before),
        load_average=os.getloadavg()[0],
    )


def started_writers(store: Store, service: str, rate: float, seconds: float) -> list[Child]:
    writers = max(1, round(rate / EVENTS_A_WRITER))
    command = [sys.executable, str(Path(__file__).with_name("paced_writer.py"))]
    command += ["--rate", str(rate / writers), "--seconds", str(seconds)]
    environment = {"INFERLOG_SERVICE_NAME": service, "INFERLOG_LOG_DIR": str(store.home.logs)}
    return [
        Child(f"writer-{service}-{number}", command, output=store.home.output, environment=environment)
        for number in range(writers)
    ]


def total_written(writers: Sequence[Child]) -> int | None:
    """Return how many events the *writers* say they have written, None while one still writes."""
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


def as_table(lags: Sequence[Lag], *, markdown: bool) -> str:
    table = Table(box=MARKDOWN if markdown else ROUNDED)
    headings = ("events/s", "written", "found", "p50, s", "p99, s", "most, s", "sent after p50, s", "p99, s")
    for heading in (*headings, "a look, s", "engine, processors", "shipper", "load"):
        table.add_column(heading, justify="right")
    for lag in lags:
        figures = (lag.p50_seconds, lag.p99_seconds, lag.max_seconds, lag.sent_p50_seconds)
        table.add_row(
            f"{lag.held_rate:,.0f} of {lag.rate:,.0f}",
            f"{lag.events:,}",
            f"{lag.found:,}",
            *("-" if figure is None else f"{figure:.2f}" for figure in (*figures, lag.sent_p99_seconds)),
            *(f"{figure:.2f}" for figure in (lag.look_seconds, lag.engine_cores, lag.shipper_cores)),
            f"{lag.load_average:.1f}",
        )
    text = io.StringIO()
    Console(file=text, width=200, markup=False, highlight=False).print(table)
    return "\n".join(line.strip() for line in text.getvalue().splitlines())


if __name__ == "__main__":
    sys.exit(exit_code_of(main, "lag"))
