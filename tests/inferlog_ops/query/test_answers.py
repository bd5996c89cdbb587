"""Each saved query on a real engine returns the rows that plain Python computes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query import library
from inferlog_ops.query.library import Query, restrict_columns
from inferlog_ops.query.run import fetch_rows, run_query
from tests.golden import END, START, Golden, allow_for_rounding, compute_expected_rows
from tests.golden.reading import select_stream
from tests.support.indexing import create_fresh_cluster, index_golden
from tests.support.panel_queries import check_head, list_shown_columns

QUERIES = {name: query for name, query in library.load_all().items() if "FROM logs-inference." in query.text}

SHOWN_BY_PANELS = [(name, columns) for name, columns in list_shown_columns() if name in QUERIES]


@pytest.fixture(scope="module")
def filled(engine_url: str) -> tuple[Cluster, Golden]:
    """An engine that holds the golden documents, some of the events twice."""
    cluster = create_fresh_cluster(engine_url)
    return cluster, index_golden(cluster)


@pytest.fixture(scope="module")
def empty(engine_url: str) -> Cluster:
    """A provisioned engine without events."""
    return create_fresh_cluster(engine_url)


@pytest.mark.parametrize("name", QUERIES)
def test_answer_equals_plain_python_on_the_same_events(name: str, filled: tuple[Cluster, Golden]) -> None:
    cluster, documents = filled
    wanted = compute_expected_rows(name, documents.select_between(START, END), START, END)
    assert wanted, f"tests/golden/documents.py has no document that {name} answers with"
    assert fetch_rows(cluster, QUERIES[name], START, END) == allow_for_rounding(wanted)


@pytest.mark.parametrize(("name", "columns"), SHOWN_BY_PANELS, ids=str)
def test_figures_of_a_panel_do_not_depend_on_the_columns_that_it_leaves_out(
    name: str, columns: tuple[str, ...], filled: tuple[Cluster, Golden]
) -> None:
    cluster, _ = filled
    whole = fetch_rows(cluster, QUERIES[name], START, END)
    shown = fetch_rows(cluster, restrict_columns(QUERIES[name], columns), START, END)
    assert shown == allow_for_rounding([{column: row[column] for column in columns} for row in whole])


@pytest.mark.parametrize(
    "span",
    [
        timedelta(milliseconds=700),
        timedelta(seconds=42, microseconds=17),
        timedelta(minutes=4),
        timedelta(minutes=9, seconds=44, milliseconds=750),
        timedelta(minutes=50),
        timedelta(hours=23),
        timedelta(days=3),
        timedelta(days=29),
        timedelta(days=400),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["requests_per_second_over_time", "p99_latency_over_time"])
def test_buckets_are_correct_at_any_range_including_cut_ones(
    name: str, span: timedelta, filled: tuple[Cluster, Golden]
) -> None:
    cluster, documents = filled
    start = START + timedelta(minutes=3, microseconds=1) if span < timedelta(minutes=5) else START
    inside = documents.select_between(start, start + span)
    rows = fetch_rows(cluster, QUERIES[name], start, start + span)
    assert rows == allow_for_rounding(compute_expected_rows(name, inside, start, start + span))
    assert sum(row["requests"] for row in rows) == len(select_stream(inside, "events"))


@pytest.mark.parametrize("version", ["v1", "v2", "(none)"])
@pytest.mark.parametrize("name", [name for name, query in QUERIES.items() if query.takes_model_version])
def test_model_version_answer_equals_the_answer_on_its_events(
    name: str, version: str, filled: tuple[Cluster, Golden]
) -> None:
    cluster, documents = filled
    of_version = [
        each for each in documents.select_between(START, END) if each.get("model_version", "(none)") == version
    ]
    rows = fetch_rows(cluster, QUERIES[name], START, END, version)
    assert rows == allow_for_rounding(compute_expected_rows(name, of_version, START, END))


@pytest.mark.parametrize("version", ["v9", 'v1" | LIMIT 1 //', "v*", ""])
@pytest.mark.parametrize("name", ["p99_latency", "ingest_lag", "requests_per_second_over_time"])
def test_unknown_model_version_has_no_rows(name: str, version: str, filled: tuple[Cluster, Golden]) -> None:
    assert fetch_rows(filled[0], QUERIES[name], START, END, version) == []


def test_lost_events_rejects_a_model_version(filled: tuple[Cluster, Golden]) -> None:
    with pytest.raises(OperatorError, match="lost_events does not support --model-version"):
        fetch_rows(filled[0], QUERIES["lost_events"], START, END, "v1")


def test_time_zone_of_the_range_does_not_matter(filled: tuple[Cluster, Golden]) -> None:
    cluster, _ = filled
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    query = QUERIES["requests_per_second_over_time"]
    there = fetch_rows(cluster, query, START.astimezone(elsewhere), END.astimezone(elsewhere))
    assert there == fetch_rows(cluster, query, START, END)


@pytest.mark.parametrize("name", QUERIES)
def test_provisioned_stack_without_events_answers_with_no_rows(name: str, empty: Cluster) -> None:
    assert fetch_rows(empty, QUERIES[name], START, END) == []
    if QUERIES[name].takes_model_version:
        assert fetch_rows(empty, QUERIES[name], START, END, "v1") == []


@pytest.mark.parametrize("name", QUERIES)
def test_range_without_events_answers_with_no_rows(name: str, filled: tuple[Cluster, Golden]) -> None:
    assert fetch_rows(filled[0], QUERIES[name], END + timedelta(days=1), END + timedelta(days=2)) == []


@pytest.mark.parametrize("name", QUERIES)
def test_head_of_the_file_names_the_columns_of_the_answer(
    name: str, filled: tuple[Cluster, Golden], empty: Cluster
) -> None:
    """Also of an empty one, so that a panel can draw its axes and heads."""
    for cluster in (filled[0], empty):
        check_head(QUERIES[name], [column.name for column in run_query(cluster, QUERIES[name], START, END).columns])


def test_query_of_an_unmapped_field_is_rejected(empty: Cluster) -> None:
    known = QUERIES["p99_latency"]
    renamed = Query(
        name=known.name,
        question=known.question,
        text=known.text.replace("latency_seconds", "latency_ms"),
        takes_model_version=True,
    )
    with pytest.raises(OperatorError, match=r"lacks the streams or fields of p99_latency.* inferlog provision"):
        fetch_rows(empty, renamed, START, END)


def test_unprovisioned_stack_error_names_the_command(cluster: Cluster) -> None:
    with pytest.raises(OperatorError, match=f"inferlog provision --namespace {cluster.namespace}"):
        fetch_rows(cluster, QUERIES["p99_latency"], START, END)


def test_rejected_query_reports_the_reason(empty: Cluster) -> None:
    wrong = Query(name="wrong", question="?", text="FROM logs-inference.events-* | WHER", takes_model_version=True)
    with pytest.raises(OperatorError, match=r"running wrong: http\S+ answered 400: parsing_exception"):
        fetch_rows(empty, wrong, START, END)


def test_silent_cluster_is_named() -> None:
    with pytest.raises(OperatorError, match=r"running p99_latency: no answer from http://127\.0\.0\.1:1"):
        fetch_rows(Cluster(url="http://127.0.0.1:1"), QUERIES["p99_latency"], START, END)


@pytest.mark.parametrize(
    ("start", "end", "complaint"),
    [
        (END, START, "is empty"),
        (START, START, "is empty"),
        (datetime(1969, 1, 1, tzinfo=UTC), END, "1970"),
        (START, datetime(2400, 1, 1, tzinfo=UTC), "2262"),
    ],
)
def test_invalid_range_is_rejected(start: datetime, end: datetime, complaint: str) -> None:
    with pytest.raises(OperatorError, match=complaint):
        fetch_rows(Cluster(url="http://127.0.0.1:1"), QUERIES["p99_latency"], start, end)
