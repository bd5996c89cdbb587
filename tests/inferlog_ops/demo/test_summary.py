from dataclasses import replace

from inferlog_ops.demo.summary import (
    DemoResult,
    describe_balance,
    describe_reconciliation,
    find_missing_and_unexpected,
    group_by_version,
)
from inferlog_ops.query.reconcile.latencies import LatencyComparison, Tolerance
from tests.support.reconciling import EVEN as EVEN_REQUESTS

LATENCIES = LatencyComparison(
    group="http.route",
    name="/v1/chat/completions",
    requests=1_000,
    sent_late={50: 0.0, 99: 0.001},
    from_due={99: 2.012},
    from_sent={99: 2.011},
    of_events={99: 2.001},
    of_dashboard={99: 2.0},
    before_service={50: 0.001, 99: 0.02},
    tolerance=Tolerance(),
)
SAME = replace(EVEN_REQUESTS, comparisons=[LATENCIES])
EVEN = DemoResult(
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
    reconciled=SAME,
)


def render_text(result: DemoResult) -> str:
    return describe_balance(result).plain


def test_equal_counts_are_complete() -> None:
    assert EVEN.complete
    assert "3 requests sent = 3 events written = 3 shipped = 3 found" in render_text(EVEN)


def test_balance_line_has_no_equals_sign_when_counts_differ() -> None:
    for change in ({"written": 2}, {"shipped": 2}, {"found": 2}, {"found": 4}, {"duplicates": 1}, {"missing": ["x"]}):
        result = replace(EVEN, **change)
        assert not result.complete
        assert "=" not in render_text(result)


def test_balance_line_lists_missing_ids() -> None:
    assert "without an event: demo-1-000002" in render_text(replace(EVEN, found=2, missing=["demo-1-000002"]))


def test_missing_and_unexpected_are_counted_not_only_listed() -> None:
    assert find_missing_and_unexpected(["a", "b", "c"], ["a", "c", "c"]) == (["b"], ["c"])
    assert find_missing_and_unexpected(["a"], ["a"]) == ([], [])


def test_group_by_version_returns_the_rows_of_overview_by_version() -> None:
    row = dict.fromkeys(("requests", "errors", "error_rate", "requests_per_second", "p50_seconds"), 1)
    row |= dict.fromkeys(("p95_seconds", "p99_seconds", "time_to_first_token_p50_seconds", "input_tokens"), 1)
    row |= {"output_tokens": 1, "output_tokens_per_second": 1}
    assert group_by_version([{"model_version": "v1", **row}]) == {"v1": row}


def test_result_is_incomplete_when_the_reconciliation_is() -> None:
    assert not replace(EVEN, reconciled=replace(SAME, lost=["demo-1-7"])).complete
    apart = replace(SAME, comparisons=[replace(LATENCIES, from_sent={99: 3.0})])
    assert replace(EVEN, reconciled=apart).complete, "a busy machine is no loss"


def test_reconcile_lines_show_latencies_of_clients_and_dashboards() -> None:
    said = describe_reconciliation(EVEN).plain
    assert "p99 2.011 s and 2.000 s" in said
    assert "10.00 ms between the client and the service's measuring point" in said
    assert describe_reconciliation(replace(EVEN, reconciled=replace(SAME, comparisons=[]))).plain == (
        "Every request has its event; too few requests to judge latencies."
    )
