"""Panels that the page answers by aggregations show the figures that plain Python computes, as their queries do."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.preview.aggregations import find_aggregations, run_aggregations
from inferlog_ops.provision.kibana.lens.expressions import count, percentile
from inferlog_ops.query import library
from inferlog_ops.query.library import Query, restrict_columns
from inferlog_ops.query.run import QueryAnswer, build_version_filter, run_query
from tests.golden import END, START, Golden, allow_for_rounding, compute_expected_rows
from tests.golden.reading import compute_percentile
from tests.support.indexing import create_fresh_cluster, index_many, roll_over
from tests.support.panel_queries import list_shown_columns

QUERIES = library.load_all()
SHOWN = list_shown_columns()
AGGREGATED = [(name, columns) for name, columns in SHOWN if find_aggregations(restrict_columns(QUERIES[name], columns))]
WHOLE = [name for name, query in QUERIES.items() if find_aggregations(query)]
SECOND = timedelta(seconds=1)
LATENCIES = ("latency_seconds", "time_to_first_token_seconds")


def run(
    cluster: Cluster,
    query: Query,
    start: datetime = START,
    end: datetime = END,
    within: dict[str, Any] | None = None,
) -> QueryAnswer:
    aggregated = find_aggregations(query)
    assert aggregated is not None
    return run_aggregations(cluster, aggregated, start, end, within=within, timeout_seconds=30)


def test_every_panel_with_percentiles_of_events_is_answered_by_aggregations() -> None:
    computed = {
        name
        for name, columns in SHOWN
        if "FROM logs-inference.events-" in QUERIES[name].text and any(each.startswith("p99_") for each in columns)
    }
    assert computed - {name for name, _ in AGGREGATED} == {
        "ingest_lag",  # a difference of two fields
        "ingest_lag_over_time",
    }


@pytest.mark.parametrize(("name", "columns"), AGGREGATED, ids=str)
def test_figures_of_a_panel_equal_plain_python_on_the_same_events(
    name: str, columns: tuple[str, ...], filled: Cluster, answer: Any
) -> None:
    shown = run(filled, restrict_columns(QUERIES[name], columns))
    wanted = [{column: row[column] for column in columns} for row in answer(name)]
    assert shown.rows == allow_for_rounding(wanted)
    assert not shown.notes


@pytest.mark.parametrize("name", WHOLE)
def test_columns_are_those_of_the_query(name: str, filled: Cluster) -> None:
    by_query = run_query(filled, QUERIES[name], START, END)
    numbers = {"long": "double", "integer": "double"}
    assert [(each.name, each.type) for each in run(filled, QUERIES[name]).columns] == [
        (each.name, numbers.get(each.type, each.type)) for each in by_query.columns
    ]


@pytest.mark.parametrize(
    "span", [SECOND * 0.7, SECOND * 42.000017, SECOND * 584.75, timedelta(hours=23), timedelta(days=400)], ids=str
)
@pytest.mark.parametrize("name", ["requests_per_second_over_time", "p99_latency_over_time", "overview"])
def test_figures_are_correct_at_any_range_including_cut_slices(
    name: str, span: timedelta, filled: Cluster, known: Golden
) -> None:
    start = START + timedelta(minutes=3, microseconds=1) if span < timedelta(minutes=5) else START
    wanted = compute_expected_rows(name, known.select_between(start, start + span), start, start + span)
    assert run(filled, QUERIES[name], start, start + span).rows == allow_for_rounding(wanted)


@pytest.mark.parametrize("version", ["v1", "(none)", "v9"])
@pytest.mark.parametrize("name", WHOLE)
def test_controls_filter_the_events(name: str, version: str, filled: Cluster, known: Golden) -> None:
    documents = known.select_between(START, END)
    inside = [each for each in documents if each.get("model_version", "(none)") == version]
    shown = run(filled, QUERIES[name], within=build_version_filter(version))
    assert shown.rows == allow_for_rounding(compute_expected_rows(name, inside, START, END))


@pytest.mark.parametrize("name", WHOLE)
def test_range_without_events_has_no_rows(name: str, filled: Cluster) -> None:
    assert run(filled, QUERIES[name], END + timedelta(days=1), END + timedelta(days=2)).rows == []


@pytest.fixture(scope="module")
def many(engine_url: str) -> Cluster:
    """
    Sixty model versions, each with one event more than the next, and events without a version or a status.

    A third of the events have no latency.
    """
    cluster: Cluster = create_fresh_cluster(engine_url)
    index_many(
        cluster,
        "events",
        (
            {
                "@timestamp": (START + SECOND * number).isoformat(),
                "model_version": f"v{version:02d}",
                "status": "error" if number % 7 == 0 else "success",
                **(dict.fromkeys(LATENCIES, 0.01 * version + number) if number % 3 else {}),
                "gen_ai": {"usage": {"input_tokens": number}},
                "cost_usd": 0.001 * number,
            }
            for version in range(60)
            for number in range(70 - version)
        ),
    )
    index_many(cluster, "events", ({"@timestamp": (START + SECOND * number).isoformat()} for number in range(9)))
    return cluster


@pytest.mark.parametrize("name", WHOLE)
def test_less_busy_versions_are_one_group_as_in_the_query(name: str, many: Cluster) -> None:
    query, shown = QUERIES[name], run(many, QUERIES[name])
    by_query = run_query(many, query, START, END, top_versions=query.top_versions)
    assert shown.rows == allow_for_rounding(by_query.rows)
    assert [note.kind for note in shown.notes] == [note.kind for note in by_query.notes]


def test_note_counts_the_requests_of_less_busy_versions(many: Cluster) -> None:
    query = QUERIES["p99_latency_over_time"]
    assert run(many, query).notes == run_query(many, query, START, END, top_versions=query.top_versions).notes


@pytest.fixture(scope="module")
def scattered(engine_url: str) -> Cluster:
    """A hundred model versions in two backing indices, each mostly in one of them; the busiest one is named (other)."""
    cluster = create_fresh_cluster(engine_url)
    requests = {f"v{number:02d}": 10 + number for number in range(99)} | {"(other)": 200}
    index_many(cluster, "events", build_requests({name: count if count % 2 else 1 for name, count in requests.items()}))
    roll_over(cluster, "events")
    index_many(cluster, "events", build_requests({name: 1 if count % 2 else count for name, count in requests.items()}))
    return cluster


def build_requests(counts: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Yield so many events of each model version."""
    for version, requests in counts.items():
        for number in range(requests):
            yield {"@timestamp": START.isoformat(), "model_version": version, "latency_seconds": 0.1 * number}


def test_version_named_other_is_in_the_group_of_that_name(scattered: Cluster) -> None:
    rows = run(scattered, QUERIES["p99_alone_over_time"]).rows
    assert [row["model_version"] for row in rows].count("(other)") == 1


def test_note_has_the_number_of_requests_in_the_group_of_others(scattered: Cluster) -> None:
    shown = run(scattered, QUERIES["p99_latency_over_time"])
    (note,) = shown.notes
    assert [note.count] == [row["requests"] for row in shown.rows if row["model_version"] == "(other)"]


def test_busiest_versions_are_those_of_all_backing_indices_together(engine_url: str) -> None:
    """Each version is mostly in one of two indices, and the busiest twenty are not the busiest of either."""
    cluster = create_fresh_cluster(engine_url)
    both = {f"zz-{number:02d}": 9 for number in range(20)}
    index_many(cluster, "events", build_requests({f"one-{number:02d}": 10 for number in range(60)} | both))
    roll_over(cluster, "events")
    index_many(cluster, "events", build_requests({f"two-{number:02d}": 10 for number in range(60)} | both))
    shown = run(cluster, QUERIES["p99_alone_over_time"])
    assert [row["model_version"] for row in shown.rows] == ["(other)", *both]
    assert [note.count for note in shown.notes] == [2 * 60 * 10]


def test_percentiles_of_many_values_in_several_indices_equal_plain_python(engine_url: str) -> None:
    cluster, random = create_fresh_cluster(engine_url), Random(20261201)
    seconds = [random.lognormvariate(-1, 1.5) for _ in range(10_000)]
    index_many(cluster, "events", build_latencies(seconds[:5_000]))
    roll_over(cluster, "events")
    index_many(cluster, "events", build_latencies(seconds[5_000:]))
    (row,) = run(cluster, QUERIES["p99_latency"]).rows
    figures = {f"p{percent}_seconds": compute_percentile(seconds, percent) for percent in (50, 95, 99)}
    wanted = {"model_version": "v1", "requests": 10_000, **figures}
    assert [row] == allow_for_rounding([wanted])


def build_latencies(seconds: Iterable[float]) -> Iterator[dict[str, Any]]:
    return ({"@timestamp": START.isoformat(), "model_version": "v1", "latency_seconds": each} for each in seconds)


def test_more_groups_than_rows_have_a_note(engine_url: str) -> None:
    cluster = create_fresh_cluster(engine_url)
    index_many(
        cluster,
        "events",
        ({"@timestamp": START.isoformat(), "http": {"route": f"/{number}"}} for number in range(10_001)),
    )
    shown = run(cluster, QUERIES["routes"])
    assert len(shown.rows) == 10_000
    assert [note.text for note in shown.notes] == [
        "at least 1 row is missing: 10,000 of 10,001 are shown. Choose a shorter range or one model version."
    ]


def test_unprovisioned_stack_error_names_the_command(cluster: Cluster) -> None:
    with pytest.raises(OperatorError, match=f"inferlog provision --namespace {cluster.namespace}"):
        run(cluster, QUERIES["p99_latency"])


@pytest.mark.parametrize(
    "change",
    [
        {"field": "absent"},
        {"kql": "absent: *"},
        {"figures": {"requests": count(), "errors": count(kql='absent: "error"') / count()}},
        {"figures": {"requests": percentile("absent", 99)}},
    ],
    ids=str,
)
def test_field_without_a_mapping_is_an_error_as_in_a_query(change: dict[str, Any], empty: Cluster) -> None:
    aggregated = find_aggregations(QUERIES["routes"])
    assert aggregated is not None
    with pytest.raises(OperatorError, match=r"lacks the streams or fields of routes; .*inferlog provision"):
        run_aggregations(empty, replace(aggregated, **change), START, END, within=None, timeout_seconds=30)


def test_silent_cluster_is_named() -> None:
    with pytest.raises(OperatorError, match=r"running p99_latency: no answer from http://127\.0\.0\.1:1"):
        run(Cluster(url="http://127.0.0.1:1"), QUERIES["p99_latency"])


def test_empty_range_is_rejected(filled: Cluster) -> None:
    with pytest.raises(OperatorError, match="is empty"):
        run(filled, QUERIES["p99_latency"], END, START)
