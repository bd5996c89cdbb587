"""Results of a reconciliation and their sentences."""

from dataclasses import replace

import pytest

from inferlog_ops.query.reconcile import reconcile_report
from inferlog_ops.query.reconcile.latencies import GroupColumn, LatencyComparison, Tolerance
from inferlog_ops.query.reconcile.records import ClientOutcome
from tests.support.reconciling import EVEN, ROUTE


def build_comparison(
    name: str, requests: int, *, group: GroupColumn = "model_version", dashboard: float = 1.0
) -> LatencyComparison:
    """Return the latencies of *requests* requests with a client latency of one second."""
    figures = dict.fromkeys((50, 95, 99), 1.0)
    return LatencyComparison(
        group=group,
        name=name,
        requests=requests,
        sent_late=figures,
        from_due=figures,
        from_sent=figures,
        of_events=figures,
        of_dashboard=dict.fromkeys(figures, dashboard),
        before_service=figures,
        tolerance=Tolerance(),
    )


def find_verdict(*comparisons: LatencyComparison) -> str:
    """Return the last sentence for a result without losses."""
    result = replace(EVEN, comparisons=list(comparisons))
    assert result.matches
    return reconcile_report.list_findings(result)[-1]


def test_one_event_per_request_matches() -> None:
    assert find_verdict(build_comparison("v1", 500), build_comparison("v2", 500)) == (
        "Clients and dashboards agree within 2 % or 2 ms."
    )


def test_unjudged_latencies_are_not_called_in_agreement() -> None:
    said = "Every request has its event; too few requests to judge latencies."
    assert find_verdict() == said
    assert find_verdict(build_comparison("v1", 29), build_comparison(ROUTE, 29, group="http.route")) == said
    some_without = replace(EVEN, sent=4, without_event=1)
    assert reconcile_report.list_findings(some_without) == [said.replace("request has", "answered request has")]


def test_judged_percentiles_are_named_with_their_groups() -> None:
    assert find_verdict(build_comparison("v1", 99)) == (
        "Clients and dashboards agree on p50 within 2 % or 2 ms; too few requests to judge the rest."
    )
    assert find_verdict(
        build_comparison("v1", 100), build_comparison("v2", 20), build_comparison(ROUTE, 600, group="http.route")
    ) == (
        f"Clients and dashboards agree on p50 (v1, {ROUTE}), p95 (v1, {ROUTE}), p99 ({ROUTE}) "
        "within 2 % or 2 ms; too few requests to judge the rest."
    )


def test_latency_difference_is_reported_despite_too_few_requests() -> None:
    apart = replace(EVEN, comparisons=[build_comparison("v1", 30, dashboard=2.0), build_comparison("v2", 20)])
    assert not apart.matches
    assert reconcile_report.list_findings(apart)[-1] == (
        "Clients and dashboards do not agree: latencies differ by more than 2 % or 2 ms."
    )


def test_unanswered_requests_prove_nothing() -> None:
    nobody = replace(EVEN, outcomes={ClientOutcome.UNANSWERED: 3}, with_event=0, without_event=3)
    assert not nobody.matches
    assert reconcile_report.list_findings(nobody) == ["No request has an event; nothing can be compared."]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lost": ["a"], "with_event": 2}, "requests are lost"),
        ({"duplicated": ["a"], "surplus": 1}, "requests are duplicated"),
        ({"strangers": 1}, "there are events without a request"),
    ],
)
def test_any_difference_prevents_a_match_and_is_reported(change: dict[str, object], words: str) -> None:
    other = replace(EVEN, **change)  # type: ignore[arg-type]
    assert not other.matches
    assert reconcile_report.list_findings(other) == [f"Clients and dashboards do not agree: {words}."]


def test_still_coming_events_are_reported_without_a_fault() -> None:
    restless = replace(EVEN, still_coming=True)
    assert restless.matches
    assert reconcile_report.as_json(restless)["events_still_coming"] is True
    *_, said, last = reconcile_report.list_findings(restless)
    assert said.startswith("New events kept arriving until the timeout; duplicates may still follow.")
    assert "--run-id" in said
    assert last.startswith("Every request has its event")
