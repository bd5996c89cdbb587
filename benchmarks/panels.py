"""
Duration of the dashboards' panels for a number of events, in an embedded Elasticsearch.

    .venv/bin/python -m benchmarks.panels
    .venv/bin/python -m benchmarks.panels --events 10000000

For each number, indexes a day of events and heartbeats (see day_of_events.py) into a separate namespace of an engine in
a temporary directory; --home keeps both, and uses a running engine in it. Then each query of a panel runs for the whole
day and for its last 15 minutes: after warm-up calls, five times, and the median counts. The time of a panel with
several layers is the sum of its queries. On an idle machine with two cores, a run with 10 000, 100 000, a million and
ten million events takes about 35 minutes, of which indexing ten million takes 12, and 5 GB of disk.
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

from benchmarks import command_line
from benchmarks.benchmark_report import BenchmarkReport, Goal, Table, exit_if_missed, show_report
from benchmarks.command_line import log_progress
from benchmarks.day_of_events import DAY, END, index_a_day
from benchmarks.engines import Engine, open_engine, wait_for_merges
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.query import library as queries
from inferlog_ops.query.dashboards import files as dashboards
from inferlog_ops.query.dashboards.panels import list_panels
from inferlog_ops.query.library import Query
from inferlog_ops.query.run import run_query

MOST_SECONDS = 1.0
MOST_SECONDS_OF_DUPLICATES = 3.0
"""A search for duplicate ids must read every id."""
GOAL_EVENTS = 1_000_000
LAST_MINUTES = timedelta(minutes=15)

QueryNames = tuple[str, ...]
"""Names of the queries of one panel, without repetitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryTimes:
    """
    Times of one query.

    Attributes:
        day_seconds: For the whole day.
        last_minutes_seconds: For its last 15 minutes.
        cpu_seconds: Processor time of the engine for the whole day; on a shared machine more reliable than the elapsed
            time.
    """

    day_seconds: float
    last_minutes_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCounts:
    """
    Numbers of calls of a query.

    Attributes:
        counted: Timed calls, for the median.
        before: Minimum number of warm-up calls.
        before_seconds: Minimum duration of the warm-up.
    """

    counted: int
    before: int
    before_seconds: float


Found = Mapping[int, dict[str, QueryTimes]]
"""Measurements by number of events and query."""


def main() -> None:
    options = parse_options()
    asked = select_panels(options.only)
    names = sorted({name for questions in asked for name in questions})
    calls = CallCounts(counted=options.calls, before=options.calls_before, before_seconds=options.seconds_before)
    with open_engine(url=options.url, home=options.home) as started:
        clusters = {
            events: Cluster(url=started.url, namespace=f"benchmark{events}") for events in sorted(options.events)
        }
        for events, cluster in clusters.items():
            log_progress(f"indexing {events:,} events")
            provision_cluster(cluster)
            index_a_day(cluster, events, options.heartbeat_seconds)
            with cluster.build_client() as client:
                wait_for_merges(client)
        found: Found = {
            events: {name: measure_query(cluster, queries.find(name), started, calls) for name in names}
            for events, cluster in clusters.items()
        }
    report = BenchmarkReport(
        figures={"panels": [{"questions": each, "panels": places} for each, places in asked.items()], "events": found},
        tables=[build_table(asked, found), build_dashboard_table(found)],
        goals=judge(asked, found),
    )
    show_report(report, options)
    exit_if_missed(report)


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument("--events", type=int, nargs="+", help="sizes to measure; default: 10 k, 100 k, 1 M, quick 10 k")
    parser.add_argument("--only", nargs="+", help="only these queries")
    parser.add_argument("--calls", type=int, help="timed calls of each query; default: 5, quick 3")
    parser.add_argument("--calls-before", type=int, help="minimum warm-up calls; default: 3, quick 1")
    parser.add_argument("--seconds-before", type=float, help="minimum warm-up time; default: 0.5, quick 0")
    parser.add_argument("--heartbeat-seconds", type=int, help="heartbeat interval of a process; default: 10, quick 60")
    parser.add_argument("--home", type=Path, help="directory to keep; a running engine in it is used")
    parser.add_argument("--url", help="cluster to use; default: start an engine")
    return command_line.parse_options(
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


def select_panels(only: list[str] | None) -> dict[QueryNames, list[str]]:
    """
    Return the panels by their queries; with *only*, the panels that use no other queries.

    Raises:
        OperatorError: If a query of *only* is used by no panel, or only together with others.
    """
    every = group_panels()
    if only is None:
        return every
    asked = {questions: places for questions, places in every.items() if set(questions) <= set(only)}
    if unasked := sorted(set(only).difference(*asked)):
        raise OperatorError(
            f"--only {' '.join(unasked)}: no panel uses it without other queries; "
            f"expected some of {', '.join(sorted(set().union(*every)))}",
            exit_code=2,
        )
    return asked


def group_panels() -> dict[QueryNames, list[str]]:
    asked: dict[QueryNames, list[str]] = defaultdict(list)
    for dashboard in dashboards.load_all().values():
        for panel in list_panels(dashboard.body):
            questions = tuple(dict.fromkeys(panel.queries))
            if questions:
                asked[questions].append(f"{dashboard.id}/{panel.id}")
    return dict(asked)


def measure_query(cluster: Cluster, query: Query, engine: Engine, calls: CallCounts) -> QueryTimes:
    log_progress(f"asking {cluster.namespace}: {query.name}")
    try:
        day_seconds, cpu_seconds = measure_calls(cluster, query, END - DAY, engine, calls)
        last_minutes_seconds, _ = measure_calls(cluster, query, END - LAST_MINUTES, engine, calls)
    except OperatorError as error:
        log_progress(f"{query.name}: {error}")
        day_seconds = last_minutes_seconds = cpu_seconds = math.inf
    return QueryTimes(day_seconds=day_seconds, last_minutes_seconds=last_minutes_seconds, cpu_seconds=cpu_seconds)


def measure_calls(
    cluster: Cluster, query: Query, start: datetime, engine: Engine, calls: CallCounts
) -> tuple[float, float]:
    """Return the median time of a call, and the engine's average processor time per call."""

    def once() -> float:
        began = time.perf_counter()
        run_query(cluster, query, start, END)
        return time.perf_counter() - began

    deadline = time.perf_counter() + calls.before_seconds
    for _ in range(calls.before):
        once()
    while time.perf_counter() < deadline:
        once()
    cpu_before = engine.read_cpu_seconds()
    seconds = statistics.median(once() for _ in range(calls.counted))
    return seconds, (engine.read_cpu_seconds() - cpu_before) / calls.counted


def build_table(asked: dict[QueryNames, list[str]], found: Found) -> Table:
    """Return one row for all panels with the same queries, slowest first."""
    most = found[max(found)]
    rows = []
    for questions in sorted(asked, key=lambda each: -sum_day_seconds(most, each)):
        seconds = [sum_day_seconds(of_events, questions) for of_events in found.values()]
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


def build_dashboard_table(found: Found) -> Table:
    """Return the time of each dashboard's queries run one after the other, each once."""
    most = found[max(found)]
    rows = []
    for dashboard in dashboards.load_all().values():
        names = most.keys() & {name for panel in list_panels(dashboard.body) for name in panel.queries}
        days = (sum(of_events[name].day_seconds for name in names) for of_events in found.values())
        last_minutes = sum(most[name].last_minutes_seconds for name in names)
        rows.append((dashboard.id, str(len(names)), *(f"{each:.2f}" for each in (*days, last_minutes))))
    sizes = (f"{events:,}" for events in found)
    return Table(
        title="A dashboard's questions one after the other, in seconds",
        columns=("dashboard", "questions", *sizes, "last 15 min"),
        rows=rows,
    )


def judge(asked: Iterable[QueryNames], found: Found) -> list[Goal]:
    if GOAL_EVENTS not in found:
        return []
    groups = {
        True: ("panels that look for duplicates", MOST_SECONDS_OF_DUPLICATES),
        False: ("all others", MOST_SECONDS),
    }
    made = []
    for for_duplicates, (what, most_seconds) in groups.items():
        seconds = {
            " + ".join(questions): sum_day_seconds(found[GOAL_EVENTS], questions)
            for questions in asked
            if has_duplicates_question(questions) is for_duplicates
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


def sum_day_seconds(measured: dict[str, QueryTimes], questions: QueryNames) -> float:
    return sum(measured[name].day_seconds for name in questions)


def has_duplicates_question(questions: QueryNames) -> bool:
    return any(name.startswith("duplicate") for name in questions)


if __name__ == "__main__":
    command_line.run_main(main)
