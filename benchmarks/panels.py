"""
How long the panels of the dashboards take on so many events, in a real, embedded Elasticsearch.

    .venv/bin/python benchmarks/panels.py --events 10000 100000 1000000

For each number it indexes a day of events and heartbeats (see day_of_events.py) into a namespace of its own, on an
engine of its own in a temporary directory; --home keeps both. Then each question that a panel asks is asked about the
whole day, and about its last 15 minutes: after calls that do not count, five times, of which the median counts. A panel
with several layers takes as long as its questions together. A million events take some ten minutes and 2 GB of disk.
"""

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import psutil
from day_of_events import DAY, END, index_a_day
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from inferlog_ops.cluster import Cluster
from inferlog_ops.dashboards import library as dashboards
from inferlog_ops.dashboards.panels import panels
from inferlog_ops.engine import control
from inferlog_ops.engine.presence import RunningEngine
from inferlog_ops.errors import OperatorError
from inferlog_ops.provisioning import provision_cluster
from inferlog_ops.queries import library as queries
from inferlog_ops.queries.library import Query
from inferlog_ops.queries.run import ask

CALLS = 5
WARM_UP_CALLS = 3
WARM_UP_SECONDS = 0.5
MOST_SECONDS = 1.0
MOST_SECONDS_OF_DUPLICATES = 3.0
"""Whoever looks for an id that is there twice has to look at each."""
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


def main() -> None:
    options = parsed_options()
    asked = questions_of_panels(options.only)
    names = sorted({name for questions in asked for name in questions})
    with engine_in(options.home) as started:
        engine = psutil.Process(started.pid)
        clusters = {
            events: Cluster(url=started.url, namespace=f"benchmark{events}") for events in sorted(options.events)
        }
        for events, cluster in clusters.items():
            tell(f"indexing {events:,} events")
            provision_cluster(cluster)
            index_a_day(cluster, events)
            wait_for_merges(cluster)
        load = os.getloadavg()[0]
        measured = {
            events: {name: measured_question(cluster, queries.find(name), engine) for name in names}
            for events, cluster in clusters.items()
        }
    if options.json:
        print(orjson.dumps(as_json(asked, measured, load), option=orjson.OPT_INDENT_2).decode())
    else:
        console = Console(width=150)
        console.print(as_table(asked, measured))
        console.print(as_table_of_dashboards(measured[max(measured)]))
        machine = f"{os.cpu_count()} cores, load {load:.1f} before, {os.getloadavg()[0]:.1f} after"
        console.print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}")


def parsed_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[10_000, 100_000], help="how many, each on its own")
    parser.add_argument("--only", nargs="+", help="only these questions")
    parser.add_argument("--home", type=Path, help="keep the engine and its events here, to ask them again")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def questions_of_panels(only: list[str] | None) -> dict[Questions, list[str]]:
    """Return the panels that ask the same questions, by these."""
    asked: dict[Questions, list[str]] = defaultdict(list)
    for dashboard in dashboards.load_all().values():
        for panel in panels(dashboard.body):
            questions = tuple(dict.fromkeys(panel.queries))
            if questions and (only is None or set(questions) <= set(only)):
                asked[questions].append(f"{dashboard.id}/{panel.id}")
    return dict(asked)


def measured_question(cluster: Cluster, query: Query, engine: psutil.Process) -> Measured:
    tell(f"asking {cluster.namespace}: {query.name}")
    try:
        day_seconds, cpu_seconds = measured_calls(cluster, query, END - DAY, engine)
        last_minutes_seconds, _ = measured_calls(cluster, query, END - LAST_MINUTES, engine)
    except OperatorError as error:
        tell(f"{query.name}: {error}")
        day_seconds = last_minutes_seconds = cpu_seconds = math.inf
    return Measured(day_seconds=day_seconds, last_minutes_seconds=last_minutes_seconds, cpu_seconds=cpu_seconds)


def measured_calls(cluster: Cluster, query: Query, start: datetime, engine: psutil.Process) -> tuple[float, float]:
    """Return the median time of a call, and what each took of the engine's processor time on average."""

    def once() -> float:
        began = time.perf_counter()
        ask(cluster, query, start, END)
        return time.perf_counter() - began

    deadline = time.perf_counter() + WARM_UP_SECONDS
    for _ in range(WARM_UP_CALLS):
        once()
    while time.perf_counter() < deadline:
        once()
    cpu_before = cpu_of(engine)
    seconds = statistics.median(once() for _ in range(CALLS))
    return seconds, (cpu_of(engine) - cpu_before) / CALLS


def wait_for_merges(cluster: Cluster) -> None:
    """Wait until the engine has put its segments together, as it does after a burst of events."""
    with cluster.client() as client:
        while client.nodes.stats(metric="indices", index_metric="merge")["nodes"].popitem()[1]["indices"]["merges"][
            "current"
        ]:
            time.sleep(0.5)


@contextmanager
def engine_in(home: Path | None) -> Iterator[RunningEngine]:
    with tempfile.TemporaryDirectory() as directory:
        engine_home = (home or Path(directory)) / "engine"
        tell("starting an engine")
        started = control.start(engine_home)
        try:
            yield started
        finally:
            control.stop(engine_home)


def as_table(asked: dict[Questions, list[str]], measured: dict[int, dict[str, Measured]]) -> Table:
    """Return one row for all panels that ask the same, the slowest first."""
    table = Table("questions", box=MARKDOWN)
    table.add_column("panels", justify="right")
    for events in measured:
        table.add_column(f"{events:,}\ns", justify="right")
    most = max(measured)
    table.add_column("its CPU\ns", justify="right")
    table.add_column("last 15 min\ns", justify="right")
    table.add_column("")
    for questions in sorted(asked, key=lambda each: -day_seconds(measured[most], each)):
        seconds = [day_seconds(of_events, questions) for of_events in measured.values()]
        cpu = sum(measured[most][name].cpu_seconds for name in questions)
        last_minutes = sum(measured[most][name].last_minutes_seconds for name in questions)
        table.add_row(
            " + ".join(questions),
            str(len(asked[questions])),
            *(f"{each:.3f}" for each in (*seconds, cpu, last_minutes)),
            "" if max(*seconds, last_minutes) <= allowed_seconds(questions) else "too slow",
        )
    return table


def as_table_of_dashboards(measured: dict[str, Measured]) -> Table:
    """Return how long a dashboard would take if its panels came one after the other, each question asked once."""
    table = Table("dashboard", box=MARKDOWN)
    for heading in ("questions", "day\ns", "last 15 min\ns"):
        table.add_column(heading, justify="right")
    for dashboard in dashboards.load_all().values():
        names = measured.keys() & {name for panel in panels(dashboard.body) for name in panel.queries}
        day = sum(measured[name].day_seconds for name in names)
        last_minutes = sum(measured[name].last_minutes_seconds for name in names)
        table.add_row(dashboard.id, str(len(names)), f"{day:.2f}", f"{last_minutes:.2f}")
    return table


def as_json(
    asked: dict[Questions, list[str]], measured: dict[int, dict[str, Measured]], load: float
) -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "panels": [{"questions": questions, "panels": places} for questions, places in asked.items()],
        "events": {str(events): of_events for events, of_events in measured.items()},
    }


def day_seconds(measured: dict[str, Measured], questions: Questions) -> float:
    return sum(measured[name].day_seconds for name in questions)


def allowed_seconds(questions: Questions) -> float:
    duplicates = any(name.startswith("duplicate") for name in questions)
    return MOST_SECONDS_OF_DUPLICATES if duplicates else MOST_SECONDS


def cpu_of(engine: psutil.Process) -> float:
    times = engine.cpu_times()
    return times.user + times.system


def tell(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
