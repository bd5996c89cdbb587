"""
Compares the requests of a load generator with the events and panels of a stack.

Every request in the records must have exactly one event, and the query of every panel must return rows. Reads from
ELASTICSEARCH_URL (ELASTICSEARCH_API_KEY, ELASTICSEARCH_CA_FILE), or from the running embedded engine. Exit code 0: no
difference; 1: a difference; 2: a wrong option.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from inferlog_ops.cli.options import open_cluster
from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.console import out
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.exits import run_command
from inferlog_ops.demo.evidence import find_ids
from inferlog_ops.demo.summary import find_missing_and_unexpected
from inferlog_ops.query import library as queries
from inferlog_ops.query.dashboards import files as dashboards
from inferlog_ops.query.dashboards.panels import list_panels
from inferlog_ops.query.run import run_query

_SUMMARIZED_LATER = "summaries follow minutes later"
# Queries whose result is empty, each with the reason.
EXPECTED_EMPTY = {
    "duplicate_events": "no event is in the index twice",
    "alerts": "no rule had to fire",
    "alerts_by_model_version": "no rule had to fire",
    "alerts_firing": "no rule had to fire",
    "alerts_over_time": "no rule had to fire",
    "long_range_latency": _SUMMARIZED_LATER,
    "long_range_latency_over_time": _SUMMARIZED_LATER,
    "long_range_traffic": _SUMMARIZED_LATER,
    "long_range_traffic_over_time": _SUMMARIZED_LATER,
}
ABOUT_ONE_SHIPPER = {"fluentd": {"fluentd"}, "inferlog": {"shippers", "clock_skew", "refused_of_late"}}
WITHOUT_RESPONSE = {"unanswered", "abandoned"}
SECONDS_BETWEEN_POLLS = 1.0
MAX_LISTED = 50

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequests:
    """
    Records of the load generator.

    Attributes:
        ids: Correlation id of each request.
        run_ids: Prefix of these ids, one for each run.
        began_at: Scheduled time of the first request.
        unanswered: Ids of the requests without a response.
        outcomes: Number of requests by outcome.
    """

    ids: list[str]
    run_ids: set[str]
    began_at: datetime
    unanswered: list[str]
    outcomes: dict[str, int]


def main() -> None:
    """
    Compare the requests with the events and panels, and print the result.

    Raises:
        OperatorError: With every difference.
    """
    options = read_options()
    sent = read_records(options.records)
    cluster = open_cluster(options.url, options.namespace, options.home)
    found = poll_until_stable(
        lambda: find_events(cluster, sent), lambda ids: set(ids) >= set(sent.ids), options.patience_seconds
    )
    missing, unexpected = find_missing_and_unexpected(sent.ids, found)
    out.print(
        f"{len(sent.ids)} requests sent ({format_outcomes(sent.outcomes)}), {len(found)} events found", highlight=False
    )
    fail_on(
        *describe_ids("requests without a response, which may or may not have arrived", sent.unanswered),
        *describe_ids("requests without an event", missing),
        *describe_ids("surplus events of a request", unexpected),
    )
    # Afterwards, because most panels are empty without events.
    excused = EXPECTED_EMPTY.keys() | list_queries_about_others(options.shipper)
    empty = poll_until_stable(
        lambda: find_empty_panels(cluster, sent, excused), lambda panels: not panels, options.patience_seconds
    )
    fail_on(*describe_ids("panels whose query returns no rows", empty))
    out.print("Every request has one event, and every panel has data.")


def fail_on(*problems: str) -> None:
    """
    Return if *problems* is empty.

    Raises:
        OperatorError: With all of them.
    """
    if problems:
        raise OperatorError("; ".join(problems))


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, required=True, help="records of scripts/traffic")
    parser.add_argument("--shipper", choices=ABOUT_ONE_SHIPPER, required=True, help="shipper of the lines")
    parser.add_argument("--url", default=os.environ.get("ELASTICSEARCH_URL"))
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--home", type=Path, help="home of the embedded Elasticsearch")
    parser.add_argument(
        "--patience-seconds", type=float, default=60.0, help="seconds without any change; default %(default)s"
    )
    return parser.parse_args()


def read_records(path: Path) -> SentRequests:
    """
    Read the records of the load generator.

    Raises:
        OperatorError: If the file is not readable or has no request.
    """
    try:
        records = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise OperatorError(f"{path} cannot be read as records of requests: {error}") from error
    if not records:
        raise OperatorError(f"{path} contains no request; was any sent?")
    return SentRequests(
        ids=[record["correlation_id"] for record in records],
        run_ids={record["correlation_id"].rpartition(f"-{record['caller']}-")[0] for record in records},
        began_at=min(datetime.fromisoformat(record["intended_at"]) for record in records),
        unanswered=[record["correlation_id"] for record in records if record["outcome"] in WITHOUT_RESPONSE],
        outcomes=dict(Counter(record["outcome"] for record in records)),
    )


def find_events(cluster: Cluster, sent: SentRequests) -> list[str]:
    """Return the correlation id of each event of the runs."""
    with cluster.build_client() as client, translate_errors(cluster, "looking for the events"):
        # The id of one run can be a prefix of another.
        return [
            found
            for run_id in sent.run_ids
            for found in find_ids(client, cluster.namespace, run_id)
            if found.startswith(f"{run_id}-")
        ]


def list_queries_about_others(shipper: str) -> set[str]:
    """Return the queries about shippers that are not running here."""
    return {name for other, names in ABOUT_ONE_SHIPPER.items() if other != shipper for name in names}


def find_empty_panels(cluster: Cluster, sent: SentRequests, excused: set[str]) -> list[str]:
    """Return the panels whose query returns no rows since the first request."""
    known = queries.load_all()
    start, end = sent.began_at - timedelta(seconds=1), datetime.now(UTC)
    places: dict[str, str] = {}
    for dashboard in dashboards.load_all().values():
        for panel in list_panels(dashboard.body):
            for name in panel.queries:
                places.setdefault(name, f"{dashboard.id}/{panel.id} ({name})")
    return [
        place
        for name, place in places.items()
        if name not in excused and not run_query(cluster, known[name], start, end).rows
    ]


def poll_until_stable(read: Callable[[], Seen], enough: Callable[[Seen], bool], patience_seconds: float) -> Seen:
    """Return the result of *read* when it is *enough*, or when it has not changed for *patience_seconds*."""
    seen, changed_at = read(), time.monotonic()
    while not enough(seen) and time.monotonic() < changed_at + patience_seconds:
        time.sleep(SECONDS_BETWEEN_POLLS)
        before, seen = seen, read()
        if seen != before:
            changed_at = time.monotonic()
    return seen


def describe_ids(what: str, which: list[str]) -> list[str]:
    """Return a list with one sentence about *which*, empty if there are none."""
    more = "" if len(which) <= MAX_LISTED else f" and {len(which) - MAX_LISTED} more"
    return [f"{len(which)} {what}: {', '.join(which[:MAX_LISTED])}{more}"] if which else []


def format_outcomes(outcomes: dict[str, int]) -> str:
    """Format the number of requests by outcome."""
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


if __name__ == "__main__":
    sys.exit(run_command(main, "stack_check"))
