"""
How many events a second the shipper brings from log files into a real, embedded Elasticsearch, and what others do.

    .venv/bin/python -m benchmarks.shipper

Beside it stand the elasticsearch client's `streaming_bulk` in a loop over the lines, the real Fluentd with the
configuration in fluentd/, where one is on PATH, and the least there could be: a loop that sends bulk requests made
ready beforehand over as many connections, and looks at their status only. All take turns, each time with new files,
each in a process of its own and into a namespace of its own, on the same engine: a machine has slow minutes, a ratio
within one run has fewer. An engine that has just started is several times slower, so some events that do not count go
first.

At the end the shipper alone carries more and more events at once: its memory must not follow their number.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson

from benchmarks import command, real_fluentd, ways_to_ship
from benchmarks.command import tell
from benchmarks.engines import Engine, engine
from benchmarks.goals import end_by
from benchmarks.log_files import write_logs
from benchmarks.results import Goal, Report, Table, show
from benchmarks.ways_to_ship import CLIENT, FLUENTD, LEAST, SHIPPER, Turn, namespace_of
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster

GOAL_EVENTS_PER_SECOND = 20_000
GOAL_EVENTS = 500_000
"""Of fewer a goal says nothing: the engine is not warm."""


def main() -> None:
    options = parsed_options()
    ways = [way for way in options.ways if way != FLUENTD or real_fluentd.installed()]
    with tempfile.TemporaryDirectory() as directory, engine(url=options.url) as started:
        turns = measured(ways, options, started, Path(directory))
        growth = [at_once(started, Path(directory), events, options.files) for events in sorted(options.growth)]
    tables = [as_table(turns), *([table_of_growth(growth)] if growth else [])]
    remarks = [] if FLUENTD in ways else ["There is no fluentd on PATH, so that it is not among them."]
    figures = {"turns": turns, "growth": growth}
    report = Report(figures=figures, tables=tables, goals=goals(turns), remarks=remarks)
    show(report, options)
    end_by(report)


def parsed_options() -> argparse.Namespace:
    parser = command.parser(__doc__)
    parser.add_argument("--events", type=int, help="of each way, in all turns; default: 500 000, quick 30 000")
    parser.add_argument("--turns", type=int, help="how many turns each way takes; default: 5, quick 1")
    parser.add_argument("--warm-up", type=int, help="events that go before; default: 150 000, quick 30 000")
    parser.add_argument("--growth", type=int, nargs="*", help="events at once; default: 10 k, 100 k, 1 M, quick none")
    parser.add_argument("--files", type=int, default=4, help="that a turn's events lie in; default: %(default)s")
    parser.add_argument(
        "--ways", nargs="+", choices=(LEAST, SHIPPER, CLIENT, FLUENTD), default=(LEAST, SHIPPER, CLIENT, FLUENTD)
    )
    parser.add_argument("--url", help="a cluster to use instead of an engine started for this")
    return command.parsed(
        parser,
        full={"events": 500_000, "turns": 5, "warm_up": 150_000, "growth": [10_000, 100_000, 1_000_000]},
        quick={"events": 30_000, "turns": 1, "warm_up": 30_000, "growth": []},
    )


def measured(ways: list[str], options: argparse.Namespace, started: Engine, directory: Path) -> dict[str, list[Turn]]:
    for way in {*ways, LEAST}:
        provision_cluster(Cluster(url=started.url, namespace=namespace_of(way)))
    tell("warming up")
    one_turn(LEAST, started, write_logs(directory / "warm-up", options.warm_up, options.files))
    turns: dict[str, list[Turn]] = {way: [] for way in ways}
    for number in range(options.turns):
        for way in [*ways[number % len(ways) :], *ways[: number % len(ways)]]:
            tell(f"turn {number + 1} of {options.turns}: {way}")
            logs = write_logs(directory / f"{number}-{way}", options.events // options.turns, options.files)
            turns[way].append(one_turn(way, started, logs))
    return turns


def one_turn(way: str, started: Engine, logs: Path) -> Turn:
    if way == FLUENTD:
        return real_fluentd.take_turn(started, logs)
    alone = [sys.executable, "-m", ways_to_ship.__name__, way, str(logs), started.url, str(started.pid)]
    return Turn(**orjson.loads(subprocess.run(alone, stdout=subprocess.PIPE, check=True).stdout))


def at_once(started: Engine, directory: Path, events: int, files: int) -> Turn:
    tell(f"{events:,} events at once")
    provision_cluster(Cluster(url=started.url, namespace=namespace_of(SHIPPER)))
    return one_turn(SHIPPER, started, write_logs(directory / f"alone-{events}", events, files))


def as_table(turns: dict[str, list[Turn]]) -> Table:
    ways = list(turns)
    events, count = sum(turn.events for turn in turns[ways[0]]), len(turns[ways[0]])
    headings = ("events/s", "slowest turn", "fastest", "to the shipper", "MB/s", "CPU s a million")
    rows = [(way, *cells(turns[way], turns.get(SHIPPER))) for way in ways]
    return Table(
        title=f"{events:,} events of each, in {count} turns of {events // count:,}",
        columns=("", *headings, "engine's CPU s a million", "resident MB"),
        rows=rows,
    )


def cells(turns: list[Turn], shipper: list[Turn] | None) -> list[str]:
    events = sum(turn.events for turn in turns)
    rates = [rate([turn]) for turn in turns]
    return [
        f"{rate(turns):,.0f}",
        f"{min(rates):,.0f}",
        f"{max(rates):,.0f}",
        f"{ratio(turns, shipper):.2f}" if shipper else "",
        f"{sum(turn.file_bytes for turn in turns) / sum(turn.seconds for turn in turns) / 1e6:.1f}",
        f"{sum(turn.cpu_seconds for turn in turns) / events * 1e6:.1f}",
        f"{sum(turn.engine_cpu_seconds for turn in turns) / events * 1e6:.0f}",
        f"{max(turn.resident_bytes for turn in turns) / 1e6:.0f}",
    ]


def table_of_growth(growth: list[Turn]) -> Table:
    rows = [
        (
            *(f"{turn.events:,}", f"{rate([turn]):,.0f}", f"{turn.cpu_seconds / turn.events * 1e6:.1f}"),
            f"{turn.resident_bytes / 1e6:.0f}",
        )
        for turn in growth
    ]
    columns = ("events", "events/s", "CPU s a million", "resident MB")
    return Table(title="The shipper, with so many events waiting for it", columns=columns, rows=rows)


def goals(turns: dict[str, list[Turn]]) -> list[Goal]:
    if SHIPPER not in turns or sum(turn.events for turn in turns[SHIPPER]) < GOAL_EVENTS:
        return []
    found = rate(turns[SHIPPER])
    return [
        Goal(
            what="shipped by one process, on an idle machine",
            wanted=f"≥ {GOAL_EVENTS_PER_SECOND:,} events/s",
            found=f"{found:,.0f} events/s",
            met=found >= GOAL_EVENTS_PER_SECOND,
        )
    ]


def rate(turns: list[Turn]) -> float:
    return sum(turn.events for turn in turns) / sum(turn.seconds for turn in turns)


def ratio(turns: list[Turn], others: list[Turn]) -> float:
    """Return how much quicker *turns* were than *others*, turn by turn: the median."""
    return statistics.median(rate([one]) / rate([other]) for one, other in zip(turns, others, strict=True))


if __name__ == "__main__":
    command.run(main)
