"""What a reconciliation comes to, and how that is said."""

from dataclasses import replace

import pytest

from inferlog_ops.query.reconcile import report
from inferlog_ops.query.reconcile.figures import Comparison, Group, Tolerance
from inferlog_ops.query.reconcile.records import Outcome
from inferlog_ops.query.reconcile.result import Result
from tests.support.reconciling import DUE, ROUTE

EVEN = Result(
    start=DUE,
    end=DUE,
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
    comparisons=[],
    tolerance=Tolerance(),
)


def comparison(name: str, requests: int, *, group: Group = "model_version", dashboard: float = 1.0) -> Comparison:
    """Return what is known of so many requests that took their clients a second each."""
    figures = dict.fromkeys((50, 95, 99), 1.0)
    return Comparison(
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


def verdict(*comparisons: Comparison) -> str:
    """Return what is said last; nothing is lost, so that it is a match."""
    result = replace(EVEN, comparisons=list(comparisons))
    assert result.matches
    return report.sentences(result)[-1]


def test_one_event_for_each_request_is_a_match() -> None:
    assert verdict(comparison("v1", 500), comparison("v2", 500)) == (
        "Clients and dashboards say the same, within 2 % or 2 ms."
    )


def test_where_no_latency_is_judged_none_is_called_the_same() -> None:
    said = "Every request has its event; too few requests to judge latencies."
    assert verdict() == said
    assert verdict(comparison("v1", 29), comparison(ROUTE, 29, group="http.route")) == said
    some_without = replace(EVEN, sent=4, without_event=1)
    assert report.sentences(some_without) == [said.replace("request has", "answered request has")]


def test_what_was_judged_is_named_and_of_what() -> None:
    assert verdict(comparison("v1", 99)) == (
        "Clients and dashboards say the same p50, within 2 % or 2 ms; too few requests to judge the rest."
    )
    assert verdict(comparison("v1", 100), comparison("v2", 20), comparison(ROUTE, 600, group="http.route")) == (
        f"Clients and dashboards say the same p50 (v1, {ROUTE}), p95 (v1, {ROUTE}), p99 ({ROUTE}), "
        "within 2 % or 2 ms; too few requests to judge the rest."
    )


def test_a_latency_that_is_apart_is_said_whatever_is_too_few() -> None:
    apart = replace(EVEN, comparisons=[comparison("v1", 30, dashboard=2.0), comparison("v2", 20)])
    assert not apart.matches
    assert report.sentences(apart)[-1] == (
        "Clients and dashboards do not say the same: latencies are apart by more than 2 % or 2 ms."
    )


def test_a_service_that_answered_nobody_proves_nothing() -> None:
    nobody = replace(EVEN, outcomes={Outcome.UNANSWERED: 3}, with_event=0, without_event=3)
    assert not nobody.matches
    assert report.sentences(nobody) == ["No request has an event: there is nothing to compare."]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lost": ["a"], "with_event": 2}, "requests are lost"),
        ({"duplicated": ["a"], "surplus": 1}, "requests are duplicated"),
        ({"strangers": 1}, "events are there without a request"),
    ],
)
def test_any_difference_is_none_and_is_said(change: dict[str, object], words: str) -> None:
    other = replace(EVEN, **change)  # type: ignore[arg-type]
    assert not other.matches
    assert report.sentences(other) == [f"Clients and dashboards do not say the same: {words}."]


def test_that_events_kept_coming_is_said_and_is_no_fault() -> None:
    restless = replace(EVEN, still_coming=True)
    assert restless.matches
    assert report.as_json(restless)["events_still_coming"] is True
    *_, said, last = report.sentences(restless)
    assert said.startswith("Events kept coming until the last look: one too many may have come later.")
    assert "--run-id" in said
    assert last.startswith("Every request has its event")
