"""What a reconciliation comes to, and how that is said."""

from dataclasses import replace

import pytest
from reconciling import DUE

from inferlog_ops.reconcile import report
from inferlog_ops.reconcile.figures import Tolerance
from inferlog_ops.reconcile.records import Outcome
from inferlog_ops.reconcile.result import Result

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
    mismatches=[],
    comparisons=[],
    tolerance=Tolerance(),
)


def test_one_event_for_each_request_is_a_match() -> None:
    assert EVEN.matches
    assert report.sentences(EVEN) == ["Clients and dashboards say the same, within 2 % or 2 ms."]


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
