from dataclasses import replace
from datetime import timedelta

from inferlog_ops.demo.result import Result, missing_and_unexpected, versions_of
from inferlog_ops.demo.table import account, both_sides
from inferlog_ops.query.reconcile.figures import Comparison, Tolerance
from inferlog_ops.query.reconcile.records import Outcome
from inferlog_ops.query.reconcile.result import Result as Reconciled
from tests.support.reconciling import DUE

LATENCIES = Comparison(
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
SAME = Reconciled(
    start=DUE,
    end=DUE + timedelta(seconds=1),
    sent=3,
    outcomes={Outcome.ANSWERED: 3},
    with_event=3,
    lost=[],
    without_event=0,
    duplicated=[],
    surplus=0,
    copies=0,
    strangers=0,
    some_strangers=[],
    still_coming=False,
    mismatches=[],
    comparisons=[LATENCIES],
    tolerance=Tolerance(),
)
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
    reconciled=SAME,
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


def test_what_the_clients_saw_is_part_of_being_complete() -> None:
    assert not replace(EVEN, reconciled=replace(SAME, lost=["demo-1-7"])).complete
    apart = replace(SAME, comparisons=[replace(LATENCIES, from_sent={99: 3.0})])
    assert replace(EVEN, reconciled=apart).complete, "a busy machine is no loss"


def test_clients_and_dashboards_are_set_side_by_side() -> None:
    said = both_sides(EVEN).plain
    assert "p99 2.011 s and 2.000 s" in said
    assert "10.00 ms between the client and where the service measures" in said
    assert both_sides(replace(EVEN, reconciled=replace(SAME, comparisons=[]))).plain == (
        "Every request has its event; too few requests to judge latencies."
    )
