"""Selected versions and verdicts of the canary query in edge cases."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from elasticsearch.helpers import bulk

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.query import library
from inferlog_ops.query.run import fetch_rows
from tests.golden import Document, Row, compute_expected_rows
from tests.golden.canary import compute_newcombe_interval, compute_wilson_interval
from tests.golden.reading import format_iso, get_time

START = datetime(2026, 11, 23, tzinfo=UTC)
HOUR = timedelta(hours=1)

Version = tuple[str, int, int, float]
"""Its name, requests, errors, and the minute of the hour in which it begins."""

CASES: dict[str, list[Version]] = {
    "one version only": [("v1", 50, 3, 0)],
    "as many requests each: the older one is stable": [("new", 40, 2, 20), ("old", 40, 2, 0)],
    "the stable version is the newest, too": [("old", 40, 2, 0), ("new", 90, 2, 20)],
    "of three the newest is the canary, however rare": [("a", 90, 1, 0), ("b", 60, 1, 10), ("c", 5, 1, 30)],
    "the stable version is the newest of three": [("a", 60, 1, 0), ("b", 50, 1, 10), ("c", 90, 1, 30)],
    "no errors at all": [("v1", 200, 0, 0), ("v2", 100, 0, 10)],
    "nothing but errors": [("v1", 60, 60, 0), ("v2", 40, 40, 10)],
    "one request each": [("v1", 1, 0, 0), ("v2", 1, 1, 10)],
    "one too few": [("v1", 200, 0, 0), ("v2", 29, 29, 10)],
    "just enough, and worse": [("v1", 200, 0, 0), ("v2", 30, 30, 10)],
    "better": [("v1", 300, 90, 0), ("v2", 200, 2, 10)],
    "names that could be taken apart": [("v 1 2|3", 60, 3, 0), ('v\t1 ü"\\', 50, 9, 10), ("-1", 40, 0, 5)],
    "enough for every percentile": [("v1", 900, 0, 0), ("v2", 600, 0, 10)],
}  # fmt: skip


def build_documents(versions: list[Version], start: datetime, random: Random) -> list[Document]:
    """Return the events: ended in order, errors first and without a latency."""
    found: list[Document] = []
    for name, requests, errors, minute in versions:
        for number in range(requests):
            moment = start + timedelta(minutes=minute, milliseconds=1000 * number + len(found) / 1000)
            event: Document = {
                "@timestamp": format_iso(moment),
                "event": {"id": uuid4().hex, "dataset": "inference.events"},
                "model_version": name,
                "status": "error" if number < errors else "success",
            }
            if number >= errors:
                event["latency_seconds"] = round(random.lognormvariate(0, 0.5), 6)
                event["cost_usd"] = 0.001
            found.append(event)
    return found


@pytest.fixture(scope="module")
def cases(engine_url: str) -> tuple[Cluster, dict[str, list[Document]]]:
    """All cases in one engine, an hour each."""
    cluster = Cluster(url=engine_url, namespace=f"t{uuid4().hex[:15]}")
    provision_cluster(cluster)
    random = Random(8)
    documents = {
        case: build_documents(versions, START + index * HOUR, random)
        for index, (case, versions) in enumerate(CASES.items())
    }
    index = f"logs-inference.events-{cluster.namespace}"
    with cluster.build_client() as client:
        actions = [
            {"_op_type": "create", "_index": index, "_id": event["event"]["id"], **event}
            for events in documents.values()
            for event in events
        ]
        bulk(client, actions, refresh=True)
    return cluster, documents


@pytest.mark.parametrize("name", ["canary_comparison", "canary_versions"])
@pytest.mark.parametrize("case", CASES)
def test_answer_equals_scipy_on_the_same_events(
    name: str, case: str, cases: tuple[Cluster, dict[str, list[Document]]]
) -> None:
    cluster, documents = cases
    start = START + list(CASES).index(case) * HOUR
    assert all(start <= get_time(event) < start + HOUR for event in documents[case])
    wanted = compute_expected_rows(name, documents[case], start, start + HOUR)
    assert fetch_rows(cluster, library.find(name), start, start + HOUR) == [allow_for_rounding(row) for row in wanted]


def allow_for_rounding(row: Row) -> Row:
    return {
        name: pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
        for name, value in row.items()
    }


@pytest.mark.parametrize(
    ("case", "figure", "verdict"),
    [
        ("one version only", "error rate", "too few"),
        ("one request each", "error rate", "too few"),
        ("one too few", "error rate", "too few"),
        ("just enough, and worse", "error rate", "worse"),
        ("better", "error rate", "better"),
        ("no errors at all", "error rate", "too few"),
        ("enough for every percentile", "error rate", "same"),
        ("nothing but errors", "error rate", "same"),
        ("enough for every percentile", "p99 latency", "same"),
        ("no errors at all", "p99 latency", "too few"),
        ("no errors at all", "cost of 1 000 requests", "same"),
        ("one version only", "p50 latency", "too few"),
    ],
)
def test_verdict_is_as_expected(case: str, figure: str, verdict: str, cases: tuple[Cluster, dict[str, Any]]) -> None:
    start = START + list(CASES).index(case) * HOUR
    rows = fetch_rows(cases[0], library.find("canary_comparison"), start, start + HOUR)
    assert {row["figure"]: row["verdict"] for row in rows}[figure] == verdict


def test_intervals_equal_published_ones() -> None:
    """Newcombe 1998, 'Interval estimation for the difference', table II, case (a), method 10; Wilson as in part I."""
    assert compute_newcombe_interval((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert compute_wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert compute_wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
