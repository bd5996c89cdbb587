"""
Duration of the dashboards' panels for a number of events, in an embedded Elasticsearch.

    .venv/bin/python -m benchmarks.panels
    .venv/bin/python -m benchmarks.panels --dashboards inferlog-overview --copies 10
    .venv/bin/python -m benchmarks.panels --copies 3 10 30 --plot docs/images/panels.svg

For each number, indexes a day of events and heartbeats (see day_of_events.py) into a separate namespace of an engine in
a temporary directory; --home keeps both, and uses a running engine in it. --copies adds multiples of the largest number
(see copied_days.py). All panels are asked for --warm-up-seconds: the engine compiles its code meanwhile, and the first
size would include that. Then each panel is timed for the whole day and for its last hour, after further calls, by the
median of several calls:

- on the preview page: its queries as the page runs them, with the columns that the panel shows, by aggregations or
  ES|QL; a panel with several layers has several, one with a background over time has a second;
- in Kibana: the requests that Kibana makes of the same panel (see kibana_requests.py), if it is form-based.

On an idle machine with two cores, a million events take about a minute and 350 MB of disk.
"""

import argparse
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from elasticsearch import Elasticsearch

from benchmarks import command_line
from benchmarks.benchmark_report import BenchmarkReport, Goal, Table, exit_if_missed, show_report
from benchmarks.command_line import log_progress
from benchmarks.copied_days import copy_day
from benchmarks.day_of_events import DAY, END, index_a_day
from benchmarks.engines import Engine, open_engine, wait_for_merges
from benchmarks.growth_plot import draw_growth
from benchmarks.kibana_requests import has_own_requests, run_requests
from benchmarks.panel_questions import Question, name_query, select_panels
from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.preview.answers import PanelScope, run_page_query
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.query.library import Query
from inferlog_ops.summarize.job import SummarizeSettings, summarize

MOST_SECONDS = 1.0
MOST_SECONDS_OF_DUPLICATES = 3.0
"""A search for duplicate ids must read every id."""
GOAL_EVENTS = 1_000_000
NEWEST_HOUR = timedelta(hours=1)

MOST_SECONDS_OF_OVERVIEW = 2.0
MOST_SECONDS_OF_NEWEST_HOUR = 1.0
GOAL_EVENTS_OF_OVERVIEW = 10_000_000
OVERVIEW = "inferlog-overview/"

DRAWN = {
    "every figure, by version": "inferlog-overview/versions",
    "p50, p95, p99 over time": "inferlog-overview/percentiles-over-time",
    "p99 and median": "inferlog-overview/p99",
    "p99 over time": "inferlog-overview/p99-over-time",
    "callers": "inferlog-overview/callers",
    "requests/s over time": "inferlog-overview/requests-over-time",
    "error rate": "inferlog-overview/error-rate",
    "duplicates": "inferlog-pipeline-health/duplicated",
}
"""Main questions of the plot, and a panel that answers each."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """
    Times of one panel, or of one query.

    Attributes:
        day_seconds: For the whole day.
        newest_hour_seconds: For its last hour.
        cpu_seconds: Processor time of the engine for the whole day; on a shared machine more reliable than the elapsed
            time.
    """

    day_seconds: float
    newest_hour_seconds: float
    cpu_seconds: float

    def __add__(self, other: "Times") -> "Times":
        """Return the times of both, one after the other."""
        return Times(
            day_seconds=self.day_seconds + other.day_seconds,
            newest_hour_seconds=self.newest_hour_seconds + other.newest_hour_seconds,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
        )


NOTHING = Times(day_seconds=0.0, newest_hour_seconds=0.0, cpu_seconds=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelTimes:
    """
    Times of one panel.

    Attributes:
        on_page: Of its queries on the preview page.
        in_kibana: Of Kibana's requests; None if the panel is not form-based: Kibana then runs the ES|QL queries.
    """

    on_page: Times
    in_kibana: Times | None


Found = Mapping[int, Mapping[str, PanelTimes]]
"""Measurements by number of events and first place of a question."""


def main() -> None:
    options = parse_options()
    asked = select_panels(options.only, options.dashboards)
    calls = CallCounts(counted=options.calls, before=options.calls_before, before_seconds=options.seconds_before)
    with open_engine(url=options.url, home=options.home) as started:
        clusters = {events: index_events(started, events, options) for events in sorted(options.events)}
        most, source = max(clusters.items())
        clusters |= {most * copies: copy_day(source, copies) for copies in sorted(options.copies)}
        warm_up(source, asked, options.warm_up_seconds)
        found = {events: measure_panels(cluster, asked, started, calls) for events, cluster in clusters.items()}
    report = BenchmarkReport(
        figures={"panels": [each.describe() for each in asked], "events": found},
        tables=[build_table(asked, found), build_dashboard_table(asked, found)],
        goals=judge(asked, found),
    )
    if options.plot:
        options.plot.write_text(draw_growth(find_growth(asked, found)), encoding="utf-8")
    show_report(report, options)
    exit_if_missed(report)


def index_events(started: Engine, events: int, options: argparse.Namespace) -> Cluster:
    log_progress(f"indexing {events:,} events")
    cluster = Cluster(url=started.url, namespace=f"benchmark{events}")
    provision_cluster(cluster)
    index_a_day(cluster, events, options.heartbeat_seconds)
    summarize(cluster, SummarizeSettings(start=END - DAY, end=END), END)
    with cluster.build_client() as client:
        wait_for_merges(client)
    return cluster


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument("--events", type=int, nargs="+", help="sizes to measure; default: 10 k, 100 k, 1 M, quick 10 k")
    parser.add_argument("--copies", type=int, nargs="+", help="multiples of the largest size; default: none")
    parser.add_argument("--dashboards", nargs="+", metavar="ID", help="only panels of these dashboards")
    parser.add_argument("--only", nargs="+", metavar="QUERY", help="only panels that use no other queries than these")
    parser.add_argument("--calls", type=int, help="timed calls of each query; default: 5, quick 3")
    parser.add_argument("--calls-before", type=int, help="minimum warm-up calls; default: 3, quick 1")
    parser.add_argument("--seconds-before", type=float, help="minimum warm-up time; default: 0.5, quick 0")
    parser.add_argument("--warm-up-seconds", type=float, help="warm-up of the engine; default: 60, quick 0")
    parser.add_argument("--heartbeat-seconds", type=int, help="heartbeat interval of a process; default: 10, quick 60")
    parser.add_argument("--home", type=Path, help="directory to keep; a running engine in it is used")
    parser.add_argument("--plot", type=Path, help="file for a drawing of the growth, SVG")
    parser.add_argument("--url", help="cluster to use; default: start an engine")
    return command_line.parse_options(
        parser,
        full={
            "events": [10_000, 100_000, 1_000_000],
            "copies": [],
            "calls": 5,
            "calls_before": 3,
            "seconds_before": 0.5,
            "warm_up_seconds": 60.0,
            "heartbeat_seconds": 10,
        },
        quick={
            "events": [10_000],
            "copies": [],
            "calls": 3,
            "calls_before": 1,
            "seconds_before": 0.0,
            "warm_up_seconds": 0.0,
            "heartbeat_seconds": 60,
        },
    )


def warm_up(cluster: Cluster, asked: Sequence[Question], seconds: float) -> None:
    """Ask all questions for the day until *seconds* are over."""
    if not seconds:
        return
    log_progress(f"asking all questions for {seconds:.0f} s")
    deadline = time.perf_counter() + seconds
    with cluster.build_client(request_timeout_seconds=600) as client:
        while time.perf_counter() < deadline:
            for question in asked:
                for query in question.queries:
                    ask_as_page(client, cluster, query, END - DAY)
                if has_own_requests(question.panel):
                    ask_as_kibana(client, cluster, question, END - DAY)


def measure_panels(
    cluster: Cluster, asked: Sequence[Question], engine: Engine, calls: CallCounts
) -> dict[str, PanelTimes]:
    """Return the times of each question; a query that several panels share with the same columns is timed once."""
    queries = dict.fromkeys(query for question in asked for query in question.queries)
    by_query = {query: measure_query(cluster, query, engine, calls) for query in queries}
    return {
        question.place: PanelTimes(
            on_page=sum((by_query[query] for query in question.queries), NOTHING),
            in_kibana=measure_in_kibana(cluster, question, engine, calls),
        )
        for question in asked
    }


def measure_query(cluster: Cluster, query: Query, engine: Engine, calls: CallCounts) -> Times:
    log_progress(f"asking {cluster.namespace}: {name_query(query)}")
    with cluster.build_client(request_timeout_seconds=600) as client:
        return measure(lambda start: ask_as_page(client, cluster, query, start), engine, calls)


def measure_in_kibana(cluster: Cluster, question: Question, engine: Engine, calls: CallCounts) -> Times | None:
    if not has_own_requests(question.panel):
        return None
    log_progress(f"asking {cluster.namespace} as Kibana does: {question.place}")
    with cluster.build_client(request_timeout_seconds=600) as client:
        return measure(lambda start: ask_as_kibana(client, cluster, question, start), engine, calls)


def ask_as_page(client: Elasticsearch, cluster: Cluster, query: Query, start: datetime) -> None:
    client.indices.clear_cache(request=True)  # or the answer of the call before would be measured
    run_page_query(cluster, query, PanelScope(start=start, end=END, within=None))


def ask_as_kibana(client: Elasticsearch, cluster: Cluster, question: Question, start: datetime) -> None:
    with translate_errors(cluster, f"asking for {question.place}"):
        run_requests(client, cluster.namespace, question.panel, start, END)


def measure(ask: Callable[[datetime], object], engine: Engine, calls: CallCounts) -> Times:
    """Return the times of *ask* for the day and for its last hour; infinite if Elasticsearch rejects it."""
    try:
        day_seconds, cpu_seconds = measure_calls(lambda: ask(END - DAY), engine, calls)
        newest_hour_seconds, _ = measure_calls(lambda: ask(END - NEWEST_HOUR), engine, calls)
    except OperatorError as error:
        log_progress(str(error))
        day_seconds = newest_hour_seconds = cpu_seconds = math.inf
    return Times(day_seconds=day_seconds, newest_hour_seconds=newest_hour_seconds, cpu_seconds=cpu_seconds)


def measure_calls(ask: Callable[[], object], engine: Engine, calls: CallCounts) -> tuple[float, float]:
    """Return the median time of a call, and the engine's average processor time per call."""

    def once() -> float:
        began = time.perf_counter()
        ask()
        return time.perf_counter() - began

    deadline = time.perf_counter() + calls.before_seconds
    for _ in range(calls.before):
        once()
    while time.perf_counter() < deadline:
        once()
    cpu_before = engine.read_cpu_seconds()
    seconds = statistics.median(once() for _ in range(calls.counted))
    return seconds, (engine.read_cpu_seconds() - cpu_before) / calls.counted


def build_table(asked: Sequence[Question], found: Found) -> Table:
    """Return a row for all panels with the same queries, slowest first; columns after the sizes are of the largest."""
    most = found[max(found)]
    rows = []
    for question in sorted(asked, key=lambda each: -most[each.place].on_page.day_seconds):
        seconds = [of_events[question.place].on_page.day_seconds for of_events in found.values()]
        page, kibana = most[question.place].on_page, most[question.place].in_kibana
        seconds += [page.cpu_seconds, page.newest_hour_seconds]
        if kibana is not None:
            seconds += [kibana.day_seconds, kibana.cpu_seconds, kibana.newest_hour_seconds]
        places = ", ".join(place.removeprefix("inferlog-") for place in question.places)
        cells = (places, question.names, *(f"{each:.2f}" for each in seconds))
        rows.append((*cells, *[""] * (3 if kibana is None else 0)))
    sizes = (f"{events:,}" for events in found)
    on_page = (*sizes, "engine's CPU", "newest hour")
    return Table(
        title="What a panel takes for a day of so many events, in seconds",
        columns=(
            "panels",
            "queries",
            *on_page,
            *(f"Kibana: {each}" for each in ("day", "engine's CPU", "newest hour")),
        ),
        rows=rows,
    )


def build_dashboard_table(asked: Sequence[Question], found: Found) -> Table:
    """Return the time of each dashboard's questions one after the other, each once."""
    by_dashboard: dict[str, list[str]] = defaultdict(list)
    for question in asked:
        for dashboard_id in dict.fromkeys(place.split("/")[0] for place in question.places):
            by_dashboard[dashboard_id].append(question.place)
    rows = []
    for dashboard_id, places in by_dashboard.items():
        of_sizes = [sum((of_events[place].on_page for place in places), NOTHING) for of_events in found.values()]
        figures = (*(each.day_seconds for each in of_sizes), of_sizes[-1].newest_hour_seconds)
        rows.append((dashboard_id, str(len(places)), *(f"{each:.2f}" for each in figures)))
    sizes = (f"{events:,}" for events in found)
    return Table(
        title="A dashboard's questions one after the other on the preview page, in seconds",
        columns=("dashboard", "questions", *sizes, "newest hour"),
        rows=rows,
    )


def judge(asked: Sequence[Question], found: Found) -> list[Goal]:
    """Return the goals of the measured sizes: of every panel at a million events, of the overview at ten million."""
    goals = []
    if of_events := found.get(GOAL_EVENTS):
        day = {each.names: of_events[each.place].on_page.day_seconds for each in asked}
        of = f"{GOAL_EVENTS:,} events"
        twice = {names: seconds for names, seconds in day.items() if looks_for_duplicates(names)}
        others = {names: seconds for names, seconds in day.items() if names not in twice}
        goals += [
            *judge_slowest(f"panels that look for duplicates, {of}", MOST_SECONDS_OF_DUPLICATES, twice),
            *judge_slowest(f"all others, {of}", MOST_SECONDS, others),
        ]
    if of_events := found.get(GOAL_EVENTS_OF_OVERVIEW):
        of_overview = {
            place: of_events[each.place] for each in asked for place in each.places if place.startswith(OVERVIEW)
        }
        in_kibana = {place: times.in_kibana for place, times in of_overview.items() if times.in_kibana is not None}
        on_page = {place: times.on_page for place, times in of_overview.items()}
        goals += [*judge_overview("in Kibana", in_kibana), *judge_overview("on the preview page", on_page)]
    return goals


def judge_overview(where: str, measured: Mapping[str, Times]) -> list[Goal]:
    of = f"panels of the overview {where}, {GOAL_EVENTS_OF_OVERVIEW:,} events"
    day = {place: times.day_seconds for place, times in measured.items()}
    newest_hour = {place: times.newest_hour_seconds for place, times in measured.items()}
    return [
        *judge_slowest(of, MOST_SECONDS_OF_OVERVIEW, day),
        *judge_slowest(f"newest hour of the {of}", MOST_SECONDS_OF_NEWEST_HOUR, newest_hour),
    ]


def judge_slowest(what: str, most_seconds: float, seconds: Mapping[str, float]) -> list[Goal]:
    if not seconds:
        return []
    slowest = max(seconds, key=lambda name: seconds[name])
    return [
        Goal(
            what=what,
            wanted=f"≤ {most_seconds:.0f} s",
            found=f"{seconds[slowest]:.2f} s ({slowest})",
            met=seconds[slowest] <= most_seconds,
        )
    ]


def looks_for_duplicates(names: str) -> bool:
    return names.startswith("`duplicate")


def find_growth(asked: Sequence[Question], found: Found) -> dict[str, list[tuple[float, float]]]:
    """Return the points of each drawn question: number of events, and processor seconds of the engine on the page."""
    first_places = {place: question.place for question in asked for place in question.places}
    return {
        label: [(events, of_events[first_places[place]].on_page.cpu_seconds) for events, of_events in found.items()]
        for label, place in DRAWN.items()
        if place in first_places
    }


if __name__ == "__main__":
    command_line.run_main(main)
