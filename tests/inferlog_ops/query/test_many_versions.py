"""1 500 model versions over 60 slices of time: no row is missing from an answer without a note that counts it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
import typer
from typer.testing import CliRunner, Result

from inferlog_ops.cli import query
from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query import library
from inferlog_ops.query.dashboards import slo
from inferlog_ops.query.rules import rules
from inferlog_ops.query.rules.evaluate import evaluate
from inferlog_ops.query.run import QueryAnswer, fetch_rows, run_query
from tests.support.indexing import create_fresh_cluster, index_many, roll_over

QUERIES = {name: each for name, each in library.load_all().items() if "FROM inferlog-summaries-*" not in each.text}
START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SLICE = timedelta(seconds=15)
SLICES = 60
END = START + SLICES * SLICE
NEWEST = (END - SLICE).strftime("%Y-%m-%dT%H:%M:%S.000Z")
VERSIONS = [f'tenant-{number:04d}-"lora"' for number in range(1_500)]
LATENCY_SECONDS = {version: 0.1 + number / 1_000 for number, version in enumerate(VERSIONS)}
BUSY = set(VERSIONS[::80])
"""Versions with two requests in each slice; all others but SLOW have one."""
SLOW, SLOW_REQUESTS, SLOW_SECONDS = "zz-slow", 200, 60.0
TOP = BUSY | {SLOW}
"""The 20 versions with the most requests."""
REQUESTS = SLICES * (len(VERSIONS) + len(BUSY)) + SLOW_REQUESTS
ROWS_OVER_TIME = SLICES * (len(VERSIONS) + 1)
MOST_ROWS = 10_000
OTHER = "(other)"

Document = dict[str, Any]

app = typer.Typer(pretty_exceptions_enable=False)
app.command("query")(query.query)


def _build_events() -> Iterator[Document]:
    for number in range(SLICES):
        for version in VERSIONS:
            for _ in range(2 if version in BUSY else 1):
                yield _build_event(START + number * SLICE, version, "success", LATENCY_SECONDS[version])
    for number in range(SLOW_REQUESTS):
        yield _build_event(START + number % SLICES * SLICE, SLOW, "error", SLOW_SECONDS)


def _build_event(at: datetime, version: str, status: str, latency_seconds: float) -> Document:
    return {
        "@timestamp": at.isoformat(),
        "model_version": version,
        "status": status,
        "latency_seconds": latency_seconds,
        "time_to_first_token_seconds": latency_seconds / 2,
        "cost_usd": 0.001,
        "client": {"id": "c1"},
        "correlation_id": version,
        "gen_ai": {"usage": {"input_tokens": 5, "output_tokens": 7}},
    }


@pytest.fixture(scope="module")
def filled(engine_url: str) -> Cluster:
    cluster: Cluster = create_fresh_cluster(engine_url)
    index_many(cluster, "events", _build_events())
    return cluster


def _query_top_versions(cluster: Cluster, name: str) -> QueryAnswer:
    return run_query(cluster, QUERIES[name], START, END, top_versions=QUERIES[name].top_versions)


def _collect_notes(answer: QueryAnswer) -> list[tuple[str, int]]:
    return [(note.kind.value, note.count) for note in answer.notes]


BY_VERSION = [name for name, each in QUERIES.items() if each.top_versions is not None]
OVER_TIME = [name for name in BY_VERSION if name.endswith("_over_time")]


@pytest.mark.parametrize("name", OVER_TIME)
def test_answer_over_time_has_the_20_busiest_versions_and_the_others_up_to_the_newest_slice(
    name: str, filled: Cluster
) -> None:
    answer = _query_top_versions(filled, name)
    assert {row["model_version"] for row in answer.rows} == TOP | {OTHER}
    assert {row["bucket"] for row in answer.rows if row["model_version"] == OTHER} == {
        (START + number * SLICE).strftime("%Y-%m-%dT%H:%M:%S.000Z") for number in range(SLICES)
    }
    assert _collect_notes(answer) == [("other_versions", SLICES * (len(VERSIONS) - len(BUSY)))]


@pytest.mark.parametrize("name", ["overview", "status_codes", "time_spent", "callers"])
def test_table_has_the_50_busiest_versions_and_the_others(name: str, filled: Cluster) -> None:
    versions = {row["model_version"] for row in _query_top_versions(filled, name).rows}
    assert versions > TOP | {OTHER}
    assert len(versions) == 51


@pytest.mark.parametrize("name", BY_VERSION)
def test_rows_with_the_others_add_up_to_those_of_every_version(name: str, filled: Cluster) -> None:
    columns = {"requests", "errors", "input_tokens", "output_tokens", "cost_usd"} & {
        column.name for column in _query_top_versions(filled, name).columns
    }
    wanted = {
        "requests": REQUESTS if "successes" not in name else REQUESTS - SLOW_REQUESTS,
        "errors": SLOW_REQUESTS,
        "input_tokens": 5 * REQUESTS,
        "output_tokens": 7 * REQUESTS,
        "cost_usd": pytest.approx(REQUESTS * 0.001),
    }
    rows = _query_top_versions(filled, name).rows
    assert {column: sum(row[column] for row in rows) for column in columns} == {
        column: wanted[column] for column in columns
    }


def test_p99_of_the_others_is_that_of_their_events(filled: Cluster) -> None:
    (other,) = (
        row
        for row in run_query(filled, QUERIES["p99_latency"], START, END, top_versions=20).rows
        if row["model_version"] == OTHER
    )
    latencies = [LATENCY_SECONDS[version] for version in VERSIONS if version not in BUSY for _ in range(SLICES)]
    assert other["requests"] == len(latencies)
    assert other["p99_seconds"] == pytest.approx(np.percentile(latencies, 99), rel=0.01)


def test_busiest_versions_are_those_of_all_backing_indices_together(engine_url: str) -> None:
    """Each version is mostly in one of two indices, and the busiest twenty are not the busiest of either."""
    cluster = create_fresh_cluster(engine_url)
    halves = ([f"one-{number:02d}" for number in range(60)], [f"two-{number:02d}" for number in range(60)])
    both = [f"zz-{number:02d}" for number in range(20)]
    for part, versions in enumerate(halves):
        if part:
            roll_over(cluster, "events")
        requests = dict.fromkeys(versions, 10) | dict.fromkeys(both, 9)
        index_many(
            cluster,
            "events",
            (_build_event(START, each, "success", 0.1) for each in requests for _ in range(requests[each])),
        )
    answer = run_query(cluster, QUERIES["p99_latency"], START, END, top_versions=20)
    assert [row["model_version"] for row in answer.rows] == [OTHER, *both]
    assert _collect_notes(answer) == [("other_versions", 2 * 60 * 10)]


@pytest.mark.parametrize("name", OVER_TIME)
def test_rows_of_every_version_over_time_are_the_newest_and_the_missing_ones_are_counted(
    name: str, filled: Cluster
) -> None:
    answer = run_query(filled, QUERIES[name], START, END)
    assert len(answer.rows) == MOST_ROWS
    buckets = [row["bucket"] for row in answer.rows]
    assert buckets == sorted(buckets)
    assert buckets[-1] == NEWEST
    assert buckets.count(NEWEST) >= len(VERSIONS)
    assert _collect_notes(answer) == [("missing_rows", ROWS_OVER_TIME - MOST_ROWS)]


def test_table_of_every_version_is_complete(filled: Cluster) -> None:
    answer = run_query(filled, QUERIES["overview"], START, END)
    assert [row["model_version"] for row in answer.rows] == sorted([*VERSIONS, SLOW])
    assert answer.notes == ()


def test_fetch_rows_returns_all_rows_or_raises(filled: Cluster) -> None:
    assert len(fetch_rows(filled, QUERIES["p99_latency"], START, END)) == len(VERSIONS) + 1
    with pytest.raises(OperatorError, match=r"p99_latency_over_time: at least 80,060 rows are missing"):
        fetch_rows(filled, QUERIES["p99_latency_over_time"], START, END)


def test_one_version_is_never_among_the_others(filled: Cluster) -> None:
    for version in (VERSIONS[1], SLOW):
        answer = run_query(filled, QUERIES["p99_latency"], START, END, version, top_versions=1)
        assert [row["model_version"] for row in answer.rows] == [version]
        assert answer.notes == ()


def test_few_versions_within_a_filter_are_not_grouped(filled: Cluster) -> None:
    within = {"terms": {"model_version": VERSIONS[:20]}}
    answer = run_query(filled, QUERIES["overview"], START, END, within=within, top_versions=20)
    assert [row["model_version"] for row in answer.rows] == VERSIONS[:20]
    assert answer.notes == ()


def test_chains_count_the_requests_that_they_were_not_computed_from(filled: Cluster) -> None:
    assert ("unread_rows", REQUESTS - MOST_ROWS) in _collect_notes(run_query(filled, QUERIES["chains"], START, END))


@pytest.mark.parametrize(("name", "rows"), [("audit_trail", 10_000), ("trace", 1_000)])
def test_list_of_the_newest_counts_the_older_ones(name: str, rows: int, filled: Cluster) -> None:
    answer = run_query(filled, QUERIES[name], START, END)
    assert len(answer.rows) == rows
    assert _collect_notes(answer) == [("missing_rows", REQUESTS - rows)]


@pytest.mark.parametrize("name", ["slowest_requests", "recent_errors"])
def test_limit_in_the_question_causes_no_note(name: str, filled: Cluster) -> None:
    answer = run_query(filled, QUERIES[name], START, END)
    assert len(answer.rows) == 20
    assert answer.notes == ()


@pytest.mark.parametrize("rule", ["p99_latency", "error_rate", "error_budget_burn_fast"])
def test_rule_fires_for_the_version_that_comes_last(rule: str, filled: Cluster) -> None:
    evaluation = evaluate(filled, [rules.find(rule)], slo.load(), QUERIES, END)
    assert [alert.group_text for alert in evaluation.alerts] == [SLOW]
    assert evaluation.not_listed == {}
    assert evaluation.failures == {}


def _run_inferlog(cluster: Cluster, *arguments: str) -> Result:
    of_range = ["--from", START.isoformat(), "--to", END.isoformat()]
    return CliRunner().invoke(app, [*arguments, *of_range, "--url", cluster.url, "--namespace", cluster.namespace])


def test_command_prints_on_stderr_how_many_rows_are_missing_and_ends_with_3(filled: Cluster) -> None:
    result = _run_inferlog(filled, "trace")
    assert result.exit_code == 3
    assert "at least 90,340 rows are missing: 1,000 of 91,340 are shown" in result.stderr
    assert "missing" not in result.stdout


def test_json_stays_an_array_of_rows_and_its_notes_are_json_on_stderr(filled: Cluster) -> None:
    result = _run_inferlog(filled, "audit_trail", "--json")
    assert result.exit_code == 3
    assert len(orjson.loads(result.stdout)) == MOST_ROWS
    (line,) = result.stderr.splitlines()
    note = orjson.loads(line)
    assert (note["kind"], note["count"]) == ("missing_rows", REQUESTS - MOST_ROWS)
    assert "rows are missing" in note["text"]


def test_complete_grouped_answer_exits_with_0(filled: Cluster) -> None:
    result = _run_inferlog(filled, "p99_latency", "--json", "--top", "3")
    assert result.exit_code == 0
    rows = orjson.loads(result.stdout)
    assert len(rows) == 4
    assert {SLOW, OTHER} < {row["model_version"] for row in rows}
    assert sum(row["requests"] for row in rows) == REQUESTS


def test_every_version_option_gives_each_version_a_row(filled: Cluster) -> None:
    result = _run_inferlog(filled, "p99_latency", "--json", "--every-version")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert len(orjson.loads(result.stdout)) == len(VERSIONS) + 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["p99_latency", "--top", "3", "--every-version"], "--top and --every-version are mutually exclusive"),
        (["lost_events", "--top", "3"], "lost_events has no rows per model version"),
    ],
)
def test_unsupported_option_is_rejected(arguments: list[str], complaint: str, filled: Cluster) -> None:
    result = _run_inferlog(filled, *arguments)
    assert isinstance(result.exception, OperatorError)
    assert complaint in str(result.exception)
    assert result.exception.exit_code == 2
