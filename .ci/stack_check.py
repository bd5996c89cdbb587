"""
Holds what a load generator has sent against what a stack shows of it.

Every request of the file of records has exactly one event, and the query behind every panel of every dashboard answers
with something. Asks the Elasticsearch of ELASTICSEARCH_URL (with ELASTICSEARCH_API_KEY, ELASTICSEARCH_CA_FILE), or the
embedded one that runs. Exit code 0 = all of that holds, 1 = it does not, 2 = a wrong option.
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

from inferlog_ops.core.cluster import Cluster, cluster_from, translate_errors
from inferlog_ops.core.console import out
from inferlog_ops.core.ending import exit_code_of
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home, default_home
from inferlog_ops.demo.evidence import found_ids
from inferlog_ops.demo.result import missing_and_unexpected
from inferlog_ops.engine.control import running_url
from inferlog_ops.query import library as queries
from inferlog_ops.query.dashboards import files as dashboards
from inferlog_ops.query.dashboards.panels import panels
from inferlog_ops.query.run import ask

# With the reason why an empty answer is a good one.
EMPTY_WHERE_ALL_IS_WELL = {
    "duplicate_events": "no event is in the index twice",
    "alerts": "no rule had to fire",
    "alerts_by_model_version": "no rule had to fire",
    "alerts_firing": "no rule had to fire",
    "alerts_over_time": "no rule had to fire",
}
ABOUT_ONE_SHIPPER = {"fluentd": {"fluentd"}, "inferlog": {"shippers", "clock_skew", "refused_of_late"}}
NOTHING_CAME_BACK = {"unanswered", "abandoned"}
SECONDS_BETWEEN_LOOKS = 1.0
NAMED_AT_MOST = 50

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """
    What the load generator says.

    Attributes:
        ids: The correlation id of each request.
        run_ids: What those ids begin with, one for each run.
        began_at: When the first was due.
        unanswered: The ids of those to which nothing came back.
        outcomes: How many requests ended how.
    """

    ids: list[str]
    run_ids: set[str]
    began_at: datetime
    unanswered: list[str]
    outcomes: dict[str, int]


def main() -> None:
    """
    Check, and say what was found.

    Raises:
        OperatorError: Naming everything that does not hold.
    """
    options = read_options()
    sent = read_records(options.records)
    fallback_url = None if options.url else running_url(Home(options.home or default_home()).engine)
    cluster = cluster_from(options.url, options.namespace, fallback_url=fallback_url)
    found = settled(lambda: events_of(cluster, sent), lambda ids: set(ids) >= set(sent.ids), options.patience)
    missing, unexpected = missing_and_unexpected(sent.ids, found)
    out.print(f"{len(sent.ids)} requests sent ({told(sent.outcomes)}), {len(found)} events found", highlight=False)
    complain(
        *named("requests without an answer, so that nobody knows whether they arrived", sent.unanswered),
        *named("requests without an event", missing),
        *named("events too many for a request", unexpected),
    )
    # Only now: without the events most panels are empty, and that says nothing about them.
    excused = EMPTY_WHERE_ALL_IS_WELL.keys() | about_others(options.shipper)
    empty = settled(lambda: empty_panels(cluster, sent, excused), lambda panels: not panels, options.patience)
    complain(*named("panels whose query answers with nothing", empty))
    out.print("Every request has one event, and every panel shows something.")


def complain(*problems: str) -> None:
    """
    Go on if there is none of *problems*.

    Raises:
        OperatorError: Saying all of them.
    """
    if problems:
        raise OperatorError("; ".join(problems))


def read_options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, required=True, help="what scripts/traffic has written")
    parser.add_argument("--shipper", choices=ABOUT_ONE_SHIPPER, required=True, help="who carries the lines")
    parser.add_argument("--url", default=os.environ.get("ELASTICSEARCH_URL"))
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--home", type=Path, help="of the embedded Elasticsearch")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds without any change; default %(default)s")
    return parser.parse_args()


def read_records(path: Path) -> Sent:
    """
    Read the load generator's file.

    Raises:
        OperatorError: If it cannot be read, or holds no request.
    """
    try:
        records = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise OperatorError(f"{path} cannot be read as records of requests: {error}") from error
    if not records:
        raise OperatorError(f"{path} holds no request; was anything sent?")
    return Sent(
        ids=[record["correlation_id"] for record in records],
        run_ids={record["correlation_id"].rpartition(f"-{record['caller']}-")[0] for record in records},
        began_at=min(datetime.fromisoformat(record["intended_at"]) for record in records),
        unanswered=[record["correlation_id"] for record in records if record["outcome"] in NOTHING_CAME_BACK],
        outcomes=dict(Counter(record["outcome"] for record in records)),
    )


def events_of(cluster: Cluster, sent: Sent) -> list[str]:
    """Return the correlation id of each event of the runs."""
    with cluster.client() as client, translate_errors(cluster, "looking for the events"):
        # One run's id may be the beginning of another's.
        return [
            found
            for run_id in sent.run_ids
            for found in found_ids(client, cluster.namespace, run_id)
            if found.startswith(f"{run_id}-")
        ]


def about_others(shipper: str) -> set[str]:
    """Return the queries about shippers that do not run here."""
    return {name for other, names in ABOUT_ONE_SHIPPER.items() if other != shipper for name in names}


def empty_panels(cluster: Cluster, sent: Sent, excused: set[str]) -> list[str]:
    """Return the panels whose query has no rows for the time since the first request."""
    known = queries.load_all()
    start, end = sent.began_at - timedelta(seconds=1), datetime.now(UTC)
    places: dict[str, str] = {}
    for dashboard in dashboards.load_all().values():
        for panel in panels(dashboard.body):
            for name in panel.queries:
                places.setdefault(name, f"{dashboard.id}/{panel.id} ({name})")
    return [
        place
        for name, place in places.items()
        if name not in excused and not ask(cluster, known[name], start, end).rows
    ]


def settled(look: Callable[[], Seen], enough: Callable[[Seen], bool], patience_seconds: float) -> Seen:
    """Return what *look* sees once it is *enough*, or once it has not changed for a while."""
    seen, changed_at = look(), time.monotonic()
    while not enough(seen) and time.monotonic() < changed_at + patience_seconds:
        time.sleep(SECONDS_BETWEEN_LOOKS)
        before, seen = seen, look()
        if seen != before:
            changed_at = time.monotonic()
    return seen


def named(what: str, which: list[str]) -> list[str]:
    """Return one sentence about *which*, and none if there are none."""
    more = "" if len(which) <= NAMED_AT_MOST else f" and {len(which) - NAMED_AT_MOST} more"
    return [f"{len(which)} {what}: {', '.join(which[:NAMED_AT_MOST])}{more}"] if which else []


def told(outcomes: dict[str, int]) -> str:
    """Return how many ended how."""
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())


if __name__ == "__main__":
    sys.exit(exit_code_of(main, "stack_check"))
