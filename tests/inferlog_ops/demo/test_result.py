from dataclasses import replace

from inferlog_ops.demo.result import Result, missing_and_unexpected, versions_of
from inferlog_ops.demo.table import account

EVEN = Result(
    sent=3,
    written=3,
    shipped=3,
    found=3,
    duplicates=0,
    dead_lettered=0,
    setup_seconds=1.0,
    versions={},
    missing=[],
    unexpected=[],
)


def text_of(result: Result) -> str:
    return account(result).plain


def test_even_counts_are_complete() -> None:
    assert EVEN.complete
    assert "3 requests sent = 3 events written = 3 shipped = 3 found" in text_of(EVEN)


def test_any_difference_is_not_and_no_equals_sign_claims_it() -> None:
    for change in ({"written": 2}, {"shipped": 2}, {"found": 2}, {"found": 4}, {"duplicates": 1}, {"missing": ["x"]}):
        result = replace(EVEN, **change)
        assert not result.complete
        assert "=" not in text_of(result)


def test_what_is_missing_is_named() -> None:
    assert "without an event: demo-1-000002" in text_of(replace(EVEN, found=2, missing=["demo-1-000002"]))


def test_missing_and_unexpected_are_counted_not_only_listed() -> None:
    assert missing_and_unexpected(["a", "b", "c"], ["a", "c", "c"]) == (["b"], ["c"])
    assert missing_and_unexpected(["a"], ["a"]) == ([], [])


def test_versions_are_the_overview_s_rows_by_version() -> None:
    row = dict.fromkeys(("requests", "errors", "error_rate", "requests_per_second", "p50_seconds"), 1)
    row |= dict.fromkeys(("p95_seconds", "p99_seconds", "time_to_first_token_p50_seconds", "input_tokens"), 1)
    row |= {"output_tokens": 1, "output_tokens_per_second": 1}
    assert versions_of([{"model_version": "v1", **row}]) == {"v1": row}
