"""Query files: lookup by name, questions, and common structure."""

import re
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query import library

QUERIES = library.load_all()
_STREAM = r"(logs-inference\.(events|app|health)|inferlog-alerts|inferlog-summaries)-\*"
_FAILURE_STORES = r"logs-inference\.\*-\*::failures METADATA _index"
_RANGE = "| WHERE @timestamp >= ?_tstart AND @timestamp < ?_tend"
_RANGE_OF_FAILURES = "| WHERE at >= TO_DATE_NANOS(?_tstart) AND at < TO_DATE_NANOS(?_tend)"
PROMISED = [
    "p99_latency",
    "p99_latency_over_time",
    "error_rate",
    "error_rate_over_time",
    "requests_per_second",
    "requests_per_second_over_time",
    "token_counts",
    "token_counts_over_time",
    "slowest_requests",
    "errors_by_type",
    "time_to_first_token",
    "lost_events",
    "duplicate_events",
    "ingest_lag",
]


@pytest.mark.parametrize("name", PROMISED)
def test_promised_query_exists(name: str) -> None:
    assert library.find(name).name == name


@pytest.mark.parametrize("name", QUERIES)
def test_query_file_uses_the_range_and_limits_its_rows(name: str) -> None:
    text = QUERIES[name].text
    where = f"dashboards/queries/{name}.esql"
    source = re.search(rf"^FROM {_STREAM}(,({_STREAM}|{_FAILURE_STORES}))?$", text, re.MULTILINE)
    assert source, f"the line FROM of {where} must name streams such as logs-inference.events-*"
    assert _RANGE in text or _RANGE_OF_FAILURES in text, f"{where} lacks the line: {_RANGE}"
    assert "\n| LIMIT " in text, f"{where} lacks a line with | LIMIT"
    assert "99.9" not in text, f"{where} has a service level as a number: it belongs to dashboards/slo.json"


@pytest.mark.parametrize("name", QUERIES)
def test_question_is_one_sentence_of_one_line(name: str) -> None:
    question = QUERIES[name].question
    assert question.endswith("?")
    assert len(question) < 100, f"shorten the first line of dashboards/queries/{name}.esql"


def test_buckets_are_defined_alike_in_all_files_over_time() -> None:
    begin, end = "| EVAL span_seconds", "| EVAL bucket_ns = TO_LONG(@timestamp) / width_ns * width_ns\n"
    cuts = {
        query.text[query.text.index(begin) : query.text.index(end)]
        for name, query in QUERIES.items()
        if name.endswith("_over_time")
    }
    assert len(cuts) == 1, "copy the lines of bucket_ns from dashboards/queries/p99_latency_over_time.esql"


@pytest.mark.parametrize("name", QUERIES)
def test_query_on_sequences_or_heartbeats_takes_no_model_version(name: str) -> None:
    query = QUERIES[name]
    across_all_versions = "event.sequence" in query.text or "logs-inference.health-*" in query.text
    assert query.takes_model_version != across_all_versions, (
        f"dashboards/queries/{name}.esql must have a comment that starts with 'Takes no model version:' "
        "if it reads event.sequence or heartbeats, and only then"
    )


@pytest.mark.parametrize(
    ("typo", "nearest"),
    [("p99_latncy", "p99_latency"), ("error-rate", "error_rate"), ("duplicates_event", "duplicate_events")],
)
def test_typo_error_names_the_nearest_query(typo: str, nearest: str) -> None:
    with pytest.raises(OperatorError, match=rf"no query '{typo}'; did you mean {nearest}\?") as refusal:
        library.find(typo)
    assert refusal.value.exit_code == 2


def test_unknown_name_error_refers_to_the_list() -> None:
    with pytest.raises(OperatorError, match="no query 'xyzzy'; inferlog query lists all of them"):
        library.find("xyzzy")


@pytest.mark.parametrize("text", ["", "FROM x\n", "// not a question\nFROM x\n", "\n// late?\nFROM x\n"])
def test_file_without_a_question_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (tmp_path / "odd.esql").write_text(text)
    monkeypatch.setattr(library, "find_asset_dir", lambda _: tmp_path)
    with pytest.raises(OperatorError, match=r"odd\.esql does not start with a comment that is its question"):
        library.load_all()


def test_folder_without_a_query_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "find_asset_dir", lambda _: tmp_path)
    with pytest.raises(OperatorError, match="contains no query"):
        library.load_all()


@pytest.mark.parametrize("name", QUERIES)
def test_query_with_rows_per_version_declares_their_default_number(name: str) -> None:
    """Except the canary queries, which select two versions themselves."""
    query = QUERIES[name]
    first_grouping = re.search(r"^  BY (.*)$", query.text, re.MULTILINE)
    by_version = first_grouping is not None and "model_version" in first_grouping[1].split(", ")
    if not by_version or "FROM inferlog-alerts-*" in query.text or name.startswith("canary_"):
        assert query.top_versions is None
    else:
        wanted = 20 if name.endswith("_over_time") else 50
        assert query.top_versions == wanted, (
            f"the head of dashboards/queries/{name}.esql must have the sentence 'Many model versions: inferlog shows "
            f"the {wanted} with the most requests, all others together as (other).'"
        )
        command = f"// inferlog query {name} --every-version counts "
        assert command in query.text, f"the head must name the command that counts rows beyond the limit: {command}…"


@pytest.mark.parametrize("name", [name for name in QUERIES if name.endswith("_over_time")])
def test_query_over_time_keeps_the_newest_slices_and_answers_in_their_order(name: str) -> None:
    *_, choosing, limit, order = QUERIES[name].text.splitlines()
    where = f"dashboards/queries/{name}.esql must end with lines that sort by bucket DESC, limit, and sort by bucket"
    assert choosing.startswith("| SORT bucket DESC"), where
    assert limit == "| LIMIT 10000", where
    assert order == choosing.replace(" DESC", ""), where


def test_restricted_query_keeps_the_order_of_the_file() -> None:
    restricted = library.restrict_columns(QUERIES["p99_latency"], ["p99_seconds", "model_version"])
    assert restricted.columns == ("model_version", "p99_seconds")
    assert restricted.text == QUERIES["p99_latency"].text + "| KEEP model_version, p99_seconds\n"


@pytest.mark.parametrize(
    "columns", [[], ["p99_seconds", "no_such_column"], [*reversed(QUERIES["p99_latency"].columns)]]
)
def test_query_stays_whole_without_columns_with_an_unknown_one_and_with_all(columns: list[str]) -> None:
    assert library.restrict_columns(QUERIES["p99_latency"], columns) == QUERIES["p99_latency"]
