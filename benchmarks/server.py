"""
What logging costs a request, as its client sees it: the example service in several ways, beside each other.

    .venv/bin/python -m benchmarks.server

Five services run, each a process of its own, with a simulated model: without logging, with the file sink, with the
forward sink to a real Fluentd (where there is none on PATH, to a receiver that only reads), with prometheus_client in
place of the library, and once more without logging. They take turns every few hundredths of a second, so that a slow
moment of the machine is slow for all, and the n-th request of each has the same simulated delays. What counts is the
difference within a round; the second service without logging shows what differences mean nothing.

A model that takes no time lets every microsecond show: there is nothing else that a request waits for. The simulated
delays (20 ms to the first token, 1 ms for each of about 40) are nearer to what a client sees.
"""

import argparse
import asyncio
import gc
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import command, real_fluentd
from benchmarks.command import tell
from benchmarks.goals import end_by
from benchmarks.loads import FIGURES, LOADS, REQUEST_P99, Load, Round, figures, one_round, own_limit
from benchmarks.results import Goal, Report, Table, show
from benchmarks.services import FILE, OFF, SERVICES, running_services

ROUNDS_TO_JUDGE_BY = 10
MOST_ADDED_PERCENT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    One figure of one load, over all rounds.

    Attributes:
        medians: By service.
        added_percent: What a service adds to the one without logging, in each round, by service.
    """

    load: str
    figure: str
    medians: dict[str, float]
    added_percent: dict[str, list[float]]


Rounds = dict[tuple[Load, str], list[Round]]
"""What was measured, by load and service."""


def main() -> None:
    options = parsed_options()
    gc.disable()  # the client's own pauses are not the service's
    with tempfile.TemporaryDirectory() as directory:
        limit = asyncio.run(own_limit(options.share))
        rounds = asyncio.run(measured(Path(directory), options))
    comparisons = [compared(load, figure, rounds) for load in LOADS for figure in figures(load)]
    remarks = [
        f"The forward sink sends to {'Fluentd' if real_fluentd.installed() else 'a receiver that only reads'}.",
        f"The client alone: {limit['p50_ms']:.3f} ms a request, {limit['requests_per_second']:,.0f} requests/s.",
    ]
    report = Report(
        figures={"client": limit, "comparisons": comparisons},
        tables=[as_table(comparisons, options.rounds)],
        goals=goals(comparisons) if options.rounds >= ROUNDS_TO_JUDGE_BY else [],
        remarks=remarks,
    )
    show(report, options)
    end_by(report)


def parsed_options() -> argparse.Namespace:
    parser = command.parser(__doc__)
    parser.add_argument("--rounds", type=int, help="how many are compared; default: 12, quick 3")
    parser.add_argument("--share", type=float, help="of the turns in a round; default: 1 (half a minute), quick 0.1")
    options = command.parsed(parser, full={"rounds": 12, "share": 1.0}, quick={"rounds": 3, "share": 0.1})
    if options.rounds < 2:
        parser.error("--rounds: expected 2 or more, for there to be a spread")
    return options


async def measured(directory: Path, options: argparse.Namespace) -> Rounds:
    rounds_of: Rounds = {(load, name): [] for load in LOADS for name in SERVICES}
    tell("starting the services")
    with running_services(directory) as services:
        tell("warming up")
        for load in LOADS:
            await one_round(services, load, options.share)
        for number in range(options.rounds):
            tell(f"round {number + 1} of {options.rounds}")
            for load in LOADS:
                for name, found in (await one_round(services, load, options.share)).items():
                    rounds_of[load, name].append(found)
    return rounds_of


def compared(load: Load, figure: str, rounds: Rounds) -> Comparison:
    found = {name: [FIGURES[figure](one) for one in rounds[load, name]] for name in SERVICES}
    base = statistics.median(found[OFF])
    return Comparison(
        load=load.name,
        figure=figure,
        medians={name: statistics.median(each) for name, each in found.items()},
        added_percent={
            name: [(other - off) / base * 100 for other, off in zip(each, found[OFF], strict=True)]
            for name, each in found.items()
            if name != OFF
        },
    )


def as_table(comparisons: list[Comparison], rounds: int) -> Table:
    rows = [
        (
            f"{row.load}: {row.figure}",
            f"{row.medians[OFF]:.{3 if row.figure.endswith('ms') else 0}f}",
            *(spread(added) for added in row.added_percent.values()),
        )
        for row in comparisons
    ]
    others = [f"{name}, %" for name in SERVICES if name != OFF]
    title = f"What a request takes without logging, and what others add: medians of {rounds} rounds [their middle half]"
    return Table(title=title, columns=("", OFF, *others), rows=rows)


def goals(comparisons: list[Comparison]) -> list[Goal]:
    """Judge the requests of a model that takes its time: those a service has."""
    delayed = [row for row in comparisons if "delays" in row.load and row.figure == REQUEST_P99]
    return [
        Goal(
            what=f"{row.load}: p99 with the file sink",
            wanted=f"≤ +{MOST_ADDED_PERCENT:.0f} %, or no difference",
            found=f"{spread(row.added_percent[FILE])} %",
            met=nothing_much(row.added_percent[FILE]),
        )
        for row in delayed
    ]


def nothing_much(added_percent: list[float]) -> bool:
    """Return whether it is little, or 0 lies in the middle half of the rounds."""
    low, middle, high = statistics.quantiles(added_percent, n=4)
    return middle <= MOST_ADDED_PERCENT or low <= 0 <= high


def spread(added_percent: list[float]) -> str:
    low, middle, high = statistics.quantiles(added_percent, n=4)
    return f"{middle:+.1f} [{low:+.1f} … {high:+.1f}]"


if __name__ == "__main__":
    command.run(main)
