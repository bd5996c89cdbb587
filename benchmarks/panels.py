"""
How long the panels of the dashboards take on so many events, in a real, embedded Elasticsearch.

    .venv/bin/python -m benchmarks.panels
    .venv/bin/python -m benchmarks.panels --events 10000000

For each number it indexes a day of events and heartbeats (see day_of_events.py) into a namespace of its own, on an
engine of its own in a temporary directory; --home keeps both, and uses an engine that runs there. Then each question
that a panel asks is asked about the whole day, and about its last 15 minutes: after calls that do not count, five
times, of which the median counts. A panel with several layers takes as long as its questions together. On an idle
machine of two cores a run with 10 000, 100 000, a million and ten million events takes about 35 minutes, of which the
ten million take 12 to be indexed, and 5 GB of disk.
"""

import argparse
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks import command
from benchmarks.command import tell
from benchmarks.day_of_events import DAY, END, index_a_day
from benchmarks.engines import Engine, engine, wait_for_merges
from benchmarks.goals import end_by
from benchmarks.results import Goal, Report, Table, show
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.query import library as queries
from inferlog_ops.query.dashboards import files as dashboards
from inferlog_ops.query.dashboards.panels import panels
from inferlog_ops.query.library import Query
from inferlog_ops.query.run import ask

MOST_SECONDS = 1.0
MOST_SECONDS_OF_DUPLICATES = 3.0
"""Whoever looks for an id that is there twice has to look at each."""
GOAL_EVENTS = 1_000_000
LAST_MINUTES = timedelta(minutes=15)

Questions = tuple[str, ...]
"""The names of what one panel asks, each once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """
    How long one question takes.

    Attributes:
        day_seconds: About the whole day.
        last_minutes_seconds: About its last 15 minutes.
        cpu_seconds: Of the engine, for one call about the whole day: on a machine that others use, too, it says more
            than the time that passed.
    """

    day_seconds: float
    last_minutes_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """
    How often a question is asked.

    Attributes:
        counted: Of these the median counts.
        before: At least so many go before and do not count.
        before_seconds: For at least so long.
    """

    counted: int
    before: int
    before_seconds: float


Found = Mapping[int, dict[str, Measured]]
"""What was measured, by number of events and question."""


def main() -> None:
    options = parsed_options()
    asked = questions_of_panels(options.only)
    names = sorted({name for questions in asked for name in questions})
    calls = Calls(counted=options.calls, before=options.calls_before, before_seconds=options.seconds_before)
    with engine(url=options.url, home=options.home) as started:
        clusters = {
            events: Cluster(url=started.url, namespace=f"benchmark{events}") for events in sorted(options.events)
        }
        for events, cluster in clusters.items():
            tell(f"indexing {events:,} events")
            provision_cluster(cluster)
            index_a_day(cluster, events, options.heartbeat_seconds)
            with cluster.client() as client:
                wait_for_merges(client)
        found: Found = {
            events: {name: measured_question(cluster, queries.find(name), started, calls) for name in names}
            for events, cluster in clusters.items()
        }
    report = Report(
        figures={"panels": [{"questions": each, "panels": places} for each, places in asked.items()], "events": found},
        tables=[as_table(asked, found), table_of_dashboards(found)],
        goals=goals(asked, found),
    )
    show(report, options)
    end_by(report)


def parsed_options() -> argparse.Namespace:
    parser = command.parser(__doc__)
    parser.add_argument("--events", type=int, nargs="+", help="each on its own; default: 10 k, 100 k, 1 M, quick 10 k")
    parser.add_argument("--only", nargs="+", help="only these questions")
    parser.add_argument("--calls", type=int, help="of each question that count; default: 5, quick 3")
    parser.add_argument("--calls-before", type=int, help="at least, that do not count; default: 3, quick 1")
    parser.add_argument("--seconds-before", type=float, help="at least, for these; default: 0.5, quick 0")
    parser.add_argument(
        "--heartbeat-seconds", type=int, help="from one to the next of a process; default: 10, quick 60"
    )
    parser.add_argument("--home", type=Path, help="keep the engine and its events here; one that runs is used")
    parser.add_argument("--url", help="a cluster to use instead of an engine started for this")
    return command.parsed(
        parser,
        full={
            "events": [10_000, 100_000, 1_000_000],
            "calls": 5,
            "calls_before": 3,
            "seconds_before": 0.5,
            "heartbeat_seconds": 10,
        },
        quick={"events": [10_000], "calls": 3, "calls_before": 1, "seconds_before": 0.0, "heartbeat_seconds": 60},
    )


def questions_of_panels(only: list[str] | None) -> dict[Questions, list[str]]:
    """
    Return the panels that ask the same questions, by these; with *only* those that ask no others.

    Raises:
        OperatorError: If a question of *only* would not be asked: no panel asks it, or only with others.
    """
    every = panels_by_questions()
    if only is None:
        return every
    asked = {questions: places for questions, places in every.items() if set(questions) <= set(only)}
    if unasked := sorted(set(only).difference(*asked)):
        raise OperatorError(
            f"--only {' '.join(unasked)}: no panel asks this and nothing besides what is named; "
            f"expected some of {', '.join(sorted(set().union(*every)))}",
            exit_code=2,
        )
    return asked


def panels_by_questions() -> dict[Questions, list[str]]:
    asked: dict[Questions, list[str]] = defaultdict(list)
    for dashboard in dashboards.load_all().values():
        for panel in panels(dashboard.body):
            questions = tuple(dict.fromkeys(panel.queries))
            if questions:
                asked[questions].append(f"{dashboard.id}/{panel.id}")
    return dict(asked)


def measured_question(cluster: Cluster, query: Query, engine: Engine, calls: Calls) -> Measured:
    tell(f"asking {cluster.namespace}: {query.name}")
    try:
        day_seconds, cpu_seconds = measured_calls(cluster, query, END - DAY, engine, calls)
        last_minutes_seconds, _ = measured_calls(cluster, query, END - LAST_MINUTES, engine, calls)
    except OperatorError as error:
        tell(f"{query.name}: {error}")
        day_seconds = last_minutes_seconds = cpu_seconds = math.inf
    return Measured(day_seconds=day_seconds, last_minutes_seconds=last_minutes_seconds, cpu_seconds=cpu_seconds)


def measured_calls(
    cluster: Cluster, query: Query, start: datetime, engine: Engine, calls: Calls
) -> tuple[float, float]:
    """Return the median time of a call, and what each took of the engine's processor time on average."""

    def once() -> float:
        began = time.perf_counter()
        ask(cluster, query, start, END)
        return time.perf_counter() - began

    deadline = time.perf_counter() + calls.before_seconds
    for _ in range(calls.before):
        once()
    while time.perf_counter() < deadline:
        once()
    cpu_before = engine.cpu_seconds()
    seconds = statistics.median(once() for _ in range(calls.counted))
    return seconds, (engine.cpu_seconds() - cpu_before) / calls.counted


def as_table(asked: dict[Questions, list[str]], found: Found) -> Table:
    """Return one row for all panels that ask the same, the slowest first."""
    most = found[max(found)]
    rows = []
    for questions in sorted(asked, key=lambda each: -day_seconds(most, each)):
        seconds = [day_seconds(of_events, questions) for of_events in found.values()]
        cpu = sum(most[name].cpu_seconds for name in questions)
        last_minutes = sum(most[name].last_minutes_seconds for name in questions)
        figures = (f"{each:.2f}" for each in (*seconds, cpu, last_minutes))
        rows.append((" + ".join(f"`{name}`" for name in questions), str(len(asked[questions])), *figures))
    sizes = (f"{events:,}" for events in found)
    return Table(
        title="What a panel takes for a day of so many events, in seconds",
        columns=("questions", "panels", *sizes, "engine's CPU", "last 15 min"),
        rows=rows,
    )


def table_of_dashboards(found: Found) -> Table:
    """Return how long a dashboard would take if its panels came one after the other, each question asked once."""
    most = found[max(found)]
    rows = []
    for dashboard in dashboards.load_all().values():
        names = most.keys() & {name for panel in panels(dashboard.body) for name in panel.queries}
        days = (sum(of_events[name].day_seconds for name in names) for of_events in found.values())
        last_minutes = sum(most[name].last_minutes_seconds for name in names)
        rows.append((dashboard.id, str(len(names)), *(f"{each:.2f}" for each in (*days, last_minutes))))
    sizes = (f"{events:,}" for events in found)
    return Table(
        title="A dashboard's questions one after the other, in seconds",
        columns=("dashboard", "questions", *sizes, "last 15 min"),
        rows=rows,
    )


def goals(asked: Iterable[Questions], found: Found) -> list[Goal]:
    if GOAL_EVENTS not in found:
        return []
    groups = {
        True: ("panels that look for duplicates", MOST_SECONDS_OF_DUPLICATES),
        False: ("all others", MOST_SECONDS),
    }
    made = []
    for for_duplicates, (what, most_seconds) in groups.items():
        seconds = {
            " + ".join(questions): day_seconds(found[GOAL_EVENTS], questions)
            for questions in asked
            if looks_for_duplicates(questions) is for_duplicates
        }
        if seconds:
            slowest = max(seconds, key=lambda name: seconds[name])
            made.append(
                Goal(
                    what=f"{what}, {GOAL_EVENTS:,} events",
                    wanted=f"≤ {most_seconds:.0f} s",
                    found=f"{seconds[slowest]:.2f} s ({slowest})",
                    met=seconds[slowest] <= most_seconds,
                )
            )
    return made


def day_seconds(measured: dict[str, Measured], questions: Questions) -> float:
    return sum(measured[name].day_seconds for name in questions)


def looks_for_duplicates(questions: Questions) -> bool:
    return any(name.startswith("duplicate") for name in questions)


if __name__ == "__main__":
    command.run(main)
