"""Queries on summaries agree with plain Python on the events: counts and sums exactly, percentiles within 2 %."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.query import library
from inferlog_ops.query.run import fetch_rows, run_query
from inferlog_ops.summarize import buckets
from tests.golden import END, START, Golden, compute_expected_rows
from tests.golden.reading import Document
from tests.support.indexing import create_fresh_cluster, index, index_golden
from tests.support.panel_queries import check_head
from tests.support.summarizing import MINUTE, NOON, build_event, copy_summaries, run

QUERIES = {name: query for name, query in library.load_all().items() if "FROM inferlog-summaries-*" in query.text}
FIRST_MINUTE = START.replace(second=0, microsecond=0)
LAST_MINUTE = END.replace(second=0, microsecond=0) + MINUTE


@pytest.fixture(scope="module")
def filled(engine_url: str) -> tuple[Cluster, Golden]:
    """Summaries of the golden documents."""
    cluster = create_fresh_cluster(engine_url)
    documents = index_golden(cluster)
    run(cluster, END + timedelta(hours=1))
    return cluster, documents


@pytest.fixture(scope="module")
def months(engine_url: str) -> tuple[Cluster, list[Document]]:
    """Summaries of 100 days with a gap of a week, another version in the second half, and many events at the end."""
    cluster = create_fresh_cluster(engine_url)
    sparse = [NOON - timedelta(hours=12, seconds=17) * number for number in range(200) if not 75 < number < 90]
    dense = [NOON - timedelta(seconds=97) * number for number in range(1, 60)]
    documents = [
        build_event(
            moment,
            latency_seconds=None if number % 11 == 0 else (number % 97) ** 2 / 1000,
            version=None if number % 13 == 0 else "v1" if moment < NOON - timedelta(days=50) else "v2",
            status=("success", "error", "rejected", "cancelled")[number % 4],
            **({"http": {"route": "/v1/chat/completions"}} if number % 3 else {}),
        )
        for number, moment in enumerate([*sparse, *dense])
    ]
    index(cluster, "events", documents)
    run(cluster, NOON + timedelta(hours=1))
    return cluster, documents


def approximate(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Allow 1.5 % for percentiles, and the last digits of sums and quotients; counts must be equal."""
    return [
        {
            name: value
            if not isinstance(value, float)
            else pytest.approx(value, rel=0.015 if name.startswith("p") else 1e-9, abs=1e-12)
            for name, value in row.items()
        }
        for row in rows
    ]


@pytest.mark.parametrize("name", [name for name in QUERIES if not name.endswith("_over_time")])
def test_answer_agrees_with_plain_python_on_the_golden_events(name: str, filled: tuple[Cluster, Golden]) -> None:
    cluster, documents = filled
    wanted = compute_expected_rows(name, documents.select_between(FIRST_MINUTE, LAST_MINUTE), FIRST_MINUTE, LAST_MINUTE)
    assert len(wanted) == 4
    assert fetch_rows(cluster, QUERIES[name], FIRST_MINUTE, LAST_MINUTE) == approximate(wanted)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOON - timedelta(days=110), NOON + timedelta(hours=2)),
        (NOON - timedelta(days=60, minutes=17), NOON - timedelta(minutes=29)),
        (NOON - timedelta(days=31), NOON - timedelta(days=2, hours=7, minutes=59)),
        (NOON - timedelta(days=6, minutes=1), NOON),
        (NOON - timedelta(hours=20, minutes=33), NOON),
        (NOON - timedelta(minutes=90), NOON + MINUTE),
        (NOON - timedelta(minutes=59), NOON + MINUTE),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", QUERIES)
def test_hours_and_minutes_add_up_in_any_range_of_whole_minutes(
    name: str, start: datetime, end: datetime, months: tuple[Cluster, list[Document]]
) -> None:
    cluster, documents = months
    inside = [each for each in documents if start <= datetime.fromisoformat(each["@timestamp"]) < end]
    assert fetch_rows(cluster, QUERIES[name], start, end) == approximate(
        compute_expected_rows(name, inside, start, end)
    )


@pytest.mark.parametrize("version", ["v2", "(none)"])
@pytest.mark.parametrize("name", QUERIES)
def test_model_version_answer_agrees_with_its_events(
    name: str, version: str, months: tuple[Cluster, list[Document]]
) -> None:
    cluster, documents = months
    start, end = NOON - timedelta(days=110), NOON + MINUTE
    of_version = [each for each in documents if each.get("model_version", "(none)") == version]
    rows = fetch_rows(cluster, QUERIES[name], start, end, version)
    assert rows == approximate(compute_expected_rows(name, of_version, start, end))


def test_other_versions_are_one_row_of_all_their_requests(months: tuple[Cluster, list[Document]]) -> None:
    """Also after the events are gone: the busiest versions are those of the summaries."""
    months_ago, documents = months
    cluster = create_fresh_cluster(months_ago.url)
    copy_summaries(months_ago, cluster)
    query = QUERIES["long_range_traffic"]
    answer = run_query(cluster, query, NOON - timedelta(days=110), NOON + MINUTE, top_versions=1)
    versions = [each.get("model_version", "(none)") for each in documents]
    most, fewest = sorted(("v1", "v2"), key=versions.count, reverse=True)
    found = {row["model_version"]: row["requests"] for row in answer.rows}
    assert found == {"(none)": versions.count("(none)"), "(other)": versions.count(fewest), most: versions.count(most)}
    assert [note.count for note in answer.notes] == [versions.count(fewest)]


@pytest.mark.parametrize("name", QUERIES)
def test_stack_without_summaries_answers_with_no_rows_and_all_columns(name: str, engine_url: str) -> None:
    answer = run_query(create_fresh_cluster(engine_url), QUERIES[name], START, END)
    assert answer.rows == []
    check_head(QUERIES[name], [column.name for column in answer.columns])


@pytest.mark.parametrize("name", [name for name in QUERIES if "latency" in name])
def test_query_decodes_buckets_as_the_job_encodes_them(name: str) -> None:
    text = QUERIES[name].text
    assert f"latency_bucket = latency_buckets / {buckets.COUNT_UNIT}" in text
    assert f"{buckets.LOWEST_SECONDS:.6f} * POW({buckets.GROWTH}, latency_bucket - 0.5)" in text
    places = [f"place + {(1 << step) - 1})) % {buckets.COUNT_UNIT} < rank, {1 << step}, 0)" for step in range(10)]
    assert all(place in text for place in places)
    assert len(places) == (buckets.HIGHEST_BUCKET + 1).bit_length() - 1


def test_over_months_an_hour_without_latency_and_zero_latencies_count(engine_url: str) -> None:
    cluster = create_fresh_cluster(engine_url)
    start = datetime(2026, 8, 1, tzinfo=UTC)
    index(
        cluster,
        "events",
        [build_event(start, None), build_event(start + MINUTE, 0.0), build_event(start + timedelta(hours=3), 1e-6)],
    )
    run(cluster, start + timedelta(days=1))
    (row,) = fetch_rows(cluster, QUERIES["long_range_latency"], start, start + timedelta(days=90))
    assert (row["requests_with_latency"], row["p50_seconds"]) == (2, 0.0)
    assert row["p99_seconds"] == pytest.approx(1e-6, rel=0.015)
    (row,) = fetch_rows(cluster, QUERIES["long_range_traffic"], start, start + timedelta(days=90))
    assert (row["requests"], row["cost_usd"]) == (3, None)
