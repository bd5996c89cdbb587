"""
Duration of the queries on summaries over months, in an embedded Elasticsearch.

    .venv/bin/python -m benchmarks.long_range
    .venv/bin/python -m benchmarks.long_range --days 365

Writes summaries of minutes and hours for six combinations of model version and status, with the documents that
`inferlog summarize` writes, into an engine in a temporary directory; --home keeps it. Then each query runs over the
last 90, 30 and 7 days: after warm-up calls, five times, and the median counts. For comparison, the percentiles from
minutes alone, and from the events of one day.
"""

import argparse
import itertools
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import orjson

from benchmarks import command_line
from benchmarks.benchmark_report import BenchmarkReport, Goal, Table, exit_if_missed, show_report
from benchmarks.command_line import log_progress
from benchmarks.day_of_events import DAY, END, VERSIONS, index_a_day, send_all
from benchmarks.engines import open_engine, wait_for_merges
from benchmarks.panels import CallCounts, measure_calls
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_summaries_stream_name
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.query import library
from inferlog_ops.query.library import Query
from inferlog_ops.query.run import run_query
from inferlog_ops.summarize.buckets import encode_counts, find_bucket
from inferlog_ops.summarize.summary import Summary, SummaryInterval, merge_to_hours

MOST_SECONDS: Final = 2.0
GOAL_DAYS: Final = 90
QUERIES: Final = (
    "long_range_latency",
    "long_range_latency_over_time",
    "long_range_traffic",
    "long_range_traffic_over_time",
)
BOTH_INTERVALS: Final = re.compile(r"\| WHERE \(interval_seconds == 3600.*?\n  OR .*")
REQUESTS_OF_A_MINUTE: Final = {"success": 57, "error": 3}
"""For each of three model versions: three requests a second in all."""
DIFFERENT_MINUTES: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTime:
    """
    Time of one query over one range.

    Attributes:
        query: Name of the query, or its description.
        days: Length of the range.
        seconds: Median of the elapsed time.
        cpu_seconds: Processor time of the engine.
    """

    query: str
    days: float
    seconds: float
    cpu_seconds: float


def main() -> None:
    options = parse_options()
    calls = CallCounts(counted=options.calls, before=options.calls_before, before_seconds=0.0)
    with open_engine(url=options.url, home=options.home) as started:
        cluster = Cluster(url=started.url, namespace=f"benchmark.range{options.days}")
        of_events = Cluster(url=started.url, namespace=f"benchmark.day{options.events}")
        provision_cluster(cluster)
        documents = index_summaries(cluster, options.days)
        provision_cluster(of_events)
        index_a_day(of_events, options.events, heartbeat_seconds=3600)
        with cluster.build_client() as client:
            wait_for_merges(client)

        def measure(query: Query, name: str, days: int, cluster: Cluster = cluster) -> RangeTime:
            log_progress(f"asking {name} over {days} days")
            seconds, cpu_seconds = measure_calls(
                lambda: run_query(cluster, query, END - days * DAY, END), started, calls
            )
            return RangeTime(query=name, days=days, seconds=seconds, cpu_seconds=cpu_seconds)

        lengths = sorted({min(days, options.days) for days in (GOAL_DAYS, 30, 7)} | {options.days}, reverse=True)
        found = [measure(library.find(name), name, days) for name in QUERIES for days in lengths]
        latency = library.find("long_range_latency")
        minutes_alone = replace(latency, text=BOTH_INTERVALS.sub("| WHERE interval_seconds == 60", latency.text))
        found.append(measure(minutes_alone, "long_range_latency from minutes alone", lengths[0]))
        found.append(measure(library.find("p99_latency"), f"p99_latency from {options.events:,} events", 1, of_events))
    report = BenchmarkReport(
        figures={"documents": documents, "events": options.events, "ranges": found},
        tables=[build_table(found, documents)],
        goals=judge(found),
    )
    show_report(report, options)
    exit_if_missed(report)


def parse_options() -> argparse.Namespace:
    parser = command_line.make_parser(__doc__)
    parser.add_argument("--days", type=int, help="length of the summarized time; default: 90, quick 2")
    parser.add_argument("--events", type=int, help="events of the day for comparison; default: 1 M, quick 10 k")
    parser.add_argument("--calls", type=int, help="timed calls of each query; default: 5, quick 1")
    parser.add_argument("--calls-before", type=int, help="warm-up calls; default: 5, quick 0")
    parser.add_argument("--home", type=Path, help="directory to keep; a running engine in it is used")
    parser.add_argument("--url", help="cluster to use; default: start an engine")
    return command_line.parse_options(
        parser,
        full={"days": GOAL_DAYS, "events": 1_000_000, "calls": 5, "calls_before": 5},
        quick={"days": 2, "events": 10_000, "calls": 1, "calls_before": 0},
    )


def index_summaries(cluster: Cluster, days: int) -> int:
    """
    Index the summaries of *days* days before `END`, unless they are indexed already, and return their number.

    Raises:
        OperatorError: If the index holds another number of summaries.
    """
    stream = build_summaries_stream_name(cluster.namespace)
    combinations = 3 * len(REQUESTS_OF_A_MINUTE)
    wanted = days * 24 * 61 * combinations
    with cluster.build_client(request_timeout_seconds=300) as client:
        there = client.count(index=stream)["count"]
        if not there:
            log_progress(f"indexing {wanted:,} summaries")
            send_all(client, stream, (pair for hour in summarize_hours(days) for pair in hour))
            client.indices.refresh(index=stream)
        elif there != wanted:
            raise OperatorError(
                f"{cluster.shown_url}: {stream} holds {there:,} summaries; choose another --home or --url"
            )
    return wanted


def summarize_hours(days: int) -> Iterator[list[tuple[str, bytes]]]:
    """Yield id and document of each minute and hour, hour by hour; deterministic."""
    dice = random.Random(days)
    kinds = [(version, status) for version in list(VERSIONS)[:3] for status in REQUESTS_OF_A_MINUTE]
    patterns = {kind: [make_minute(dice, *kind) for _ in range(DIFFERENT_MINUTES)] for kind in kinds}
    for hour in range(days * 24):
        start = END - days * DAY + hour * SummaryInterval.HOUR.duration
        minutes = [
            replace(dice.choice(patterns[kind]), start=start + timedelta(minutes=minute))
            for minute, kind in itertools.product(range(60), kinds)
        ]
        yield [(each.id, orjson.dumps(each.to_document())) for each in (*minutes, *merge_to_hours(minutes))]


def make_minute(dice: random.Random, version: str, status: str) -> Summary:
    requests = REQUESTS_OF_A_MINUTE[status]
    latencies = [VERSIONS[version] * dice.lognormvariate(0, 0.8) for _ in range(requests)]
    return Summary(
        interval=SummaryInterval.MINUTE,
        start=END,
        key=("scoring", "production", version, "/v1/chat/completions", status),
        requests=requests,
        requests_with_latency=requests,
        latency_microseconds=round(sum(latencies) * 1_000_000),
        latency_buckets=encode_counts(Counter(map(find_bucket, latencies))),
        input_tokens=450 * requests,
        output_tokens=200 * requests,
        requests_with_cost=requests,
        cost_nano_usd=250_000 * requests,
    )


def build_table(found: list[RangeTime], documents: int) -> Table:
    rows = [(each.query, f"{each.days:g}", f"{each.seconds:.2f}", f"{each.cpu_seconds:.2f}") for each in found]
    return Table(
        title=f"Queries over months, {documents:,} summaries, in seconds",
        columns=("query", "days", "seconds", "engine's CPU"),
        rows=rows,
    )


def judge(found: list[RangeTime]) -> list[Goal]:
    return [
        Goal(
            what=f"{each.query}, {GOAL_DAYS} days",
            wanted=f"≤ {MOST_SECONDS:.0f} s",
            found=f"{each.seconds:.2f} s",
            met=each.seconds <= MOST_SECONDS,
        )
        for each in found
        if each.days == GOAL_DAYS and each.query in QUERIES
    ]


if __name__ == "__main__":
    command_line.run_main(main)
