"""The faults by name."""

import re

import pytest

from inferlog_ops.core.errors import OperatorError
from tests.chaos import catalogue

HOUR = 3600.0
OVERHEAD_SECONDS = 30.0
"""Of a trial, besides its fault: a calm before, a catching-up after, processes that start and end."""


def _seconds(trials: list[catalogue.Trial]) -> float:
    return sum(max(fault.seconds for fault in trial.faults) for trial in trials)


def test_each_fault_stands_alone_in_the_full_matrix_and_each_pair_once() -> None:
    names = [trial.name for trial in catalogue.full_matrix()]
    assert len(names) == len(set(names))
    assert set(catalogue.FAULTS) < set(names)
    pairs = [name for name in names if "+" in name]
    assert 0 < len(pairs) <= 20


def test_the_matrices_fit_into_their_times() -> None:
    full = catalogue.full_matrix()
    assert _seconds(full) + len(full) * OVERHEAD_SECONDS < HOUR
    assert _seconds(catalogue.short_matrix()) <= 60


@pytest.mark.parametrize("name", ["kill-shipper+kill-shipper", "kill-shipper+kill-worker+kill-engine"])
def test_what_is_no_pair_is_refused(name: str) -> None:
    with pytest.raises(OperatorError, match="expected one fault, or two different ones"):
        catalogue.trial(name)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("answers-429+slow-answers", "the answers to the shipper"),
        ("kill-engine+engine-away", "Elasticsearch"),
        ("kill-engine+stop-engine", "Elasticsearch"),
        ("kill-engine+rollover", "Elasticsearch"),
        ("kill-shipper+stop-shipper", "the shipper"),
        ("corrupt-positions+disk-full-shipper", "the shipper"),
        ("deleted-file+stop-shipper", "the shipper"),
        ("kill-worker+stop-worker", "the service's workers"),
        ("disk-full-service+read-only-logs", "the log files"),
    ],
)
def test_two_that_break_the_same_thing_are_refused(name: str, part: str) -> None:
    with pytest.raises(OperatorError, match=f"{re.escape(name)}: both break {part}, so that") as refusal:
        catalogue.trial(name)
    assert refusal.value.exit_code == 2


def test_the_nearest_name_is_said() -> None:
    with pytest.raises(OperatorError, match="did you mean kill-shipper"):
        catalogue.trial("kill-shiper")


def test_the_time_of_a_fault_can_be_chosen() -> None:
    assert [fault.seconds for fault in catalogue.trial("kill-shipper+engine-away", 7.0).faults] == [7.0, 7.0]
    assert [fault.seconds for fault in catalogue.trial("engine-away").faults] == [120.0]
