"""
Latency added by logging, measured by a client: the example service in several variants.

    .venv/bin/python -m benchmarks.server

Five services run as separate processes with a simulated model: without logging, with the file sink, with the forward
sink to a real Fluentd (or to a receiver that only reads, without Fluentd), with prometheus_client instead of the
library, and again without logging. They alternate every few hundredths of a second, so that a slow moment of the
machine affects all, and the n-th request of each has the same simulated delays. Compare the differences within a round;
the second service without logging shows the noise.

With a model that takes no time, every microsecond is visible, because a request waits for nothing else. The simulated
delays (20 ms to the first token, 1 ms for each of about 40) are closer to real use.
"""

import argparse
import asyncio
import gc
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import command_line, real_fluentd
from benchmarks.benchmark_report import BenchmarkReport, Goal, Table, exit_if_missed, show_report
from benchmarks.command_line import log_progress
from benchmarks.loads import (
    FIGURES,
    LOADS,
    REQUEST_P99,
    Load,
    LoadRound,
    measure_client_limit,
    run_round,
    select_figures,
)
from benchmarks.services import FILE, OFF, SERVICES, run_services

ROUNDS_TO_JUDGE_BY = 10
MOST_ADDED_PERCENT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyComparison:
    """
    One figure of one load over all rounds.

    Attributes:
        medians: Median of each service.
        added_percent: Difference of each service to the one without logging, in each round.
    """

    load: str
    figure: str
    medians: dict[str, float]
    added_percent: dict[str, list[float]]


Rounds = dict[tuple[Load, str], list[LoadRound]]
"""Measurements by load and service."""


def main() -> None:
    options = parse_options()
    gc.disable()  # garbage collection of the client would disturb the timings
    with tempfile.TemporaryDirectory() as directory:
        limit = asyncio.run(measure_client_limit(options.share))
        rounds = asyncio.run(measure(Path(directory), options))
    comparisons = [compare(load, figure, rounds) for load in LOADS for figure in select_figures(load)]
    remarks = [
        f"The forward sink sends to {'Fluentd' if real_fluentd.is_installed() else 'a receiver that only reads'}.",
        f"The client alone: {limit['p50_ms']:.3f} ms a request, {limit['requests_per_second']:,.0f} requests/s.",
    ]
    report = BenchmarkReport(
        figures={"client": limit, "comparisons": comparisons},
        tables=[build_table(comparisons, options.rounds)],
        goals=judge(comparisons) if options.rounds >= ROUNDS_TO_JUDGE_BY else [],
        remarks=remarks,
    )
    show_report(report, options)
    exit_if_missed(report)


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument("--rounds", type=int, help="rounds to compare; default: 12, quick 3")
    parser.add_argument("--share", type=float, help="share of a round's turns; default: 1 (half a minute), quick 0.1")
    options = command_line.parse_options(parser, full={"rounds": 12, "share": 1.0}, quick={"rounds": 3, "share": 0.1})
    if options.rounds < 2:
        parser.error("--rounds: expected 2 or more, to compute a spread")
    return options


async def measure(directory: Path, options: argparse.Namespace) -> Rounds:
    rounds_of: Rounds = {(load, name): [] for load in LOADS for name in SERVICES}
    log_progress("starting the services")
    with run_services(directory) as services:
        log_progress("warming up")
        for load in LOADS:
            await run_round(services, load, options.share)
        for number in range(options.rounds):
            log_progress(f"round {number + 1} of {options.rounds}")
            for load in LOADS:
                for name, found in (await run_round(services, load, options.share)).items():
                    rounds_of[load, name].append(found)
    return rounds_of


def compare(load: Load, figure: str, rounds: Rounds) -> LatencyComparison:
    found = {name: [FIGURES[figure](one) for one in rounds[load, name]] for name in SERVICES}
    base = statistics.median(found[OFF])
    return LatencyComparison(
        load=load.name,
        figure=figure,
        medians={name: statistics.median(each) for name, each in found.items()},
        added_percent={
            name: [(other - off) / base * 100 for other, off in zip(each, found[OFF], strict=True)]
            for name, each in found.items()
            if name != OFF
        },
    )


def build_table(comparisons: list[LatencyComparison], rounds: int) -> Table:
    rows = [
        (
            f"{row.load}: {row.figure}",
            f"{row.medians[OFF]:.{3 if row.figure.endswith('ms') else 0}f}",
            *(format_spread(added) for added in row.added_percent.values()),
        )
        for row in comparisons
    ]
    others = [f"{name}, %" for name in SERVICES if name != OFF]
    title = f"Time of a request without logging, and the time added: medians of {rounds} rounds [interquartile range]"
    return Table(title=title, columns=("", OFF, *others), rows=rows)


def judge(comparisons: list[LatencyComparison]) -> list[Goal]:
    """Judge the loads with simulated delays, as in a real service."""
    delayed = [row for row in comparisons if "delays" in row.load and row.figure == REQUEST_P99]
    return [
        Goal(
            what=f"{row.load}: p99 with the file sink",
            wanted=f"≤ +{MOST_ADDED_PERCENT:.0f} %, or no difference",
            found=f"{format_spread(row.added_percent[FILE])} %",
            met=is_negligible(row.added_percent[FILE]),
        )
        for row in delayed
    ]


def is_negligible(added_percent: list[float]) -> bool:
    """Return whether the median is small, or 0 is within the interquartile range."""
    low, middle, high = statistics.quantiles(added_percent, n=4)
    return middle <= MOST_ADDED_PERCENT or low <= 0 <= high


def format_spread(added_percent: list[float]) -> str:
    low, middle, high = statistics.quantiles(added_percent, n=4)
    return f"{middle:+.1f} [{low:+.1f} … {high:+.1f}]"


if __name__ == "__main__":
    command_line.run_main(main)
