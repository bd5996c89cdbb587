"""
Throughput of the shipper from log files into an embedded Elasticsearch, compared with other tools.

    .venv/bin/python -m benchmarks.shipper

It is compared with the elasticsearch client's `streaming_bulk` in a loop over the lines, a real Fluentd with the
configuration in fluentd/, if installed, and the minimum: a loop that sends prepared bulk requests over the same number
of connections and checks only their status. All alternate, each time with new files, each in a separate process and
namespace, on the same engine: ratios within one run vary less than the machine. A new engine is several times slower,
so warm-up events are sent first.

At the end, the shipper alone ships increasing numbers of events: its memory must not grow with them.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson

from benchmarks import command_line, real_fluentd, ways_to_ship
from benchmarks.benchmark_report import BenchmarkReport, Goal, Table, exit_if_missed, show_report
from benchmarks.command_line import log_progress
from benchmarks.engines import Engine, open_engine
from benchmarks.log_files import write_logs
from benchmarks.ways_to_ship import CLIENT, FLUENTD, LEAST, SHIPPER, ShippingTurn, build_namespace
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster

GOAL_EVENTS_PER_SECOND = 20_000
GOAL_EVENTS = 500_000
"""Minimum number of events to judge a goal: before, the engine is not warm."""


def main() -> None:
    options = parse_options()
    ways = [way for way in options.ways if way != FLUENTD or real_fluentd.is_installed()]
    with tempfile.TemporaryDirectory() as directory, open_engine(url=options.url) as started:
        turns = measure(ways, options, started, Path(directory))
        growth = [ship_at_once(started, Path(directory), events, options.files) for events in sorted(options.growth)]
    tables = [build_table(turns), *([build_growth_table(growth)] if growth else [])]
    remarks = [] if FLUENTD in ways else ["Fluentd is not installed and not compared."]
    figures = {"turns": turns, "growth": growth}
    report = BenchmarkReport(figures=figures, tables=tables, goals=judge(turns), remarks=remarks)
    show_report(report, options)
    exit_if_missed(report)


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument("--events", type=int, help="total events of each variant; default: 500 000, quick 30 000")
    parser.add_argument("--turns", type=int, help="turns of each variant; default: 5, quick 1")
    parser.add_argument("--warm-up", type=int, help="warm-up events; default: 150 000, quick 30 000")
    parser.add_argument("--growth", type=int, nargs="*", help="growth steps; default: 10 k, 100 k, 1 M, quick none")
    parser.add_argument("--files", type=int, default=4, help="log files per turn; default: %(default)s")
    parser.add_argument(
        "--ways", nargs="+", choices=(LEAST, SHIPPER, CLIENT, FLUENTD), default=(LEAST, SHIPPER, CLIENT, FLUENTD)
    )
    parser.add_argument("--url", help="cluster to use; default: start an engine")
    return command_line.parse_options(
        parser,
        full={"events": 500_000, "turns": 5, "warm_up": 150_000, "growth": [10_000, 100_000, 1_000_000]},
        quick={"events": 30_000, "turns": 1, "warm_up": 30_000, "growth": []},
    )


def measure(
    ways: list[str], options: argparse.Namespace, started: Engine, directory: Path
) -> dict[str, list[ShippingTurn]]:
    for way in {*ways, LEAST}:
        provision_cluster(Cluster(url=started.url, namespace=build_namespace(way)))
    log_progress("warming up")
    take_turn(LEAST, started, write_logs(directory / "warm-up", options.warm_up, options.files))
    turns: dict[str, list[ShippingTurn]] = {way: [] for way in ways}
    for number in range(options.turns):
        for way in [*ways[number % len(ways) :], *ways[: number % len(ways)]]:
            log_progress(f"turn {number + 1} of {options.turns}: {way}")
            logs = write_logs(directory / f"{number}-{way}", options.events // options.turns, options.files)
            turns[way].append(take_turn(way, started, logs))
    return turns


def take_turn(way: str, started: Engine, logs: Path) -> ShippingTurn:
    if way == FLUENTD:
        return real_fluentd.take_turn(started, logs)
    alone = [sys.executable, "-m", ways_to_ship.__name__, way, str(logs), started.url, str(started.pid)]
    return ShippingTurn(**orjson.loads(subprocess.run(alone, stdout=subprocess.PIPE, check=True).stdout))


def ship_at_once(started: Engine, directory: Path, events: int, files: int) -> ShippingTurn:
    log_progress(f"{events:,} events at once")
    provision_cluster(Cluster(url=started.url, namespace=build_namespace(SHIPPER)))
    return take_turn(SHIPPER, started, write_logs(directory / f"alone-{events}", events, files))


def build_table(turns: dict[str, list[ShippingTurn]]) -> Table:
    ways = list(turns)
    events, count = sum(turn.events for turn in turns[ways[0]]), len(turns[ways[0]])
    headings = ("events/s", "slowest turn", "fastest", "to the shipper", "MB/s", "CPU s a million")
    rows = [(way, *format_cells(turns[way], turns.get(SHIPPER))) for way in ways]
    return Table(
        title=f"{events:,} events of each, in {count} turns of {events // count:,}",
        columns=("", *headings, "engine's CPU s a million", "resident MB"),
        rows=rows,
    )


def format_cells(turns: list[ShippingTurn], shipper: list[ShippingTurn] | None) -> list[str]:
    events = sum(turn.events for turn in turns)
    rates = [compute_rate([turn]) for turn in turns]
    return [
        f"{compute_rate(turns):,.0f}",
        f"{min(rates):,.0f}",
        f"{max(rates):,.0f}",
        f"{compute_ratio(turns, shipper):.2f}" if shipper else "",
        f"{sum(turn.file_bytes for turn in turns) / sum(turn.seconds for turn in turns) / 1e6:.1f}",
        f"{sum(turn.cpu_seconds for turn in turns) / events * 1e6:.1f}",
        f"{sum(turn.engine_cpu_seconds for turn in turns) / events * 1e6:.0f}",
        f"{max(turn.resident_bytes for turn in turns) / 1e6:.0f}",
    ]


def build_growth_table(growth: list[ShippingTurn]) -> Table:
    rows = [
        (
            *(f"{turn.events:,}", f"{compute_rate([turn]):,.0f}", f"{turn.cpu_seconds / turn.events * 1e6:.1f}"),
            f"{turn.resident_bytes / 1e6:.0f}",
        )
        for turn in growth
    ]
    columns = ("events", "events/s", "CPU s a million", "resident MB")
    return Table(title="The shipper, with so many events waiting for it", columns=columns, rows=rows)


def judge(turns: dict[str, list[ShippingTurn]]) -> list[Goal]:
    if SHIPPER not in turns or sum(turn.events for turn in turns[SHIPPER]) < GOAL_EVENTS:
        return []
    found = compute_rate(turns[SHIPPER])
    return [
        Goal(
            what="shipped by one process, on an idle machine",
            wanted=f"≥ {GOAL_EVENTS_PER_SECOND:,} events/s",
            found=f"{found:,.0f} events/s",
            met=found >= GOAL_EVENTS_PER_SECOND,
        )
    ]


def compute_rate(turns: list[ShippingTurn]) -> float:
    return sum(turn.events for turn in turns) / sum(turn.seconds for turn in turns)


def compute_ratio(turns: list[ShippingTurn], others: list[ShippingTurn]) -> float:
    """Return the median speed-up of *turns* over *others*, compared turn by turn."""
    return statistics.median(
        compute_rate([one]) / compute_rate([other]) for one, other in zip(turns, others, strict=True)
    )


if __name__ == "__main__":
    command_line.run_main(main)
