"""The faults by name."""

import re

import pytest

from inferlog_ops.core.errors import OperatorError
from tests import ROOT
from tests.chaos import fault_list

PAGE = ROOT / "docs" / "reliability.md"
HOUR = 3600.0
OVERHEAD_SECONDS = 30.0
"""Overhead of a trial: time before the fault, catching up, start and end of processes."""


def _sum_seconds(trials: list[fault_list.Trial]) -> float:
    return sum(max(fault.seconds for fault in trial.faults) for trial in trials)


def test_full_matrix_has_each_fault_alone_and_each_pair_once() -> None:
    names = [trial.name for trial in fault_list.build_full_matrix()]
    assert len(names) == len(set(names))
    assert set(fault_list.FAULTS) < set(names)
    pairs = [name for name in names if "+" in name]
    assert 0 < len(pairs) <= 20


def test_matrices_fit_into_their_times() -> None:
    full = fault_list.build_full_matrix()
    assert _sum_seconds(full) + len(full) * OVERHEAD_SECONDS < HOUR
    assert _sum_seconds(fault_list.build_short_matrix()) <= 60


@pytest.mark.parametrize("name", ["kill-shipper+kill-shipper", "kill-shipper+kill-worker+kill-engine"])
def test_invalid_pair_is_rejected(name: str) -> None:
    with pytest.raises(OperatorError, match="expected one fault, or two different faults joined by"):
        fault_list.find_trial(name)


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
def test_pair_with_same_target_is_rejected(name: str, part: str) -> None:
    with pytest.raises(OperatorError, match=f"{re.escape(name)}: both break {part}, so one") as refusal:
        fault_list.find_trial(name)
    assert refusal.value.exit_code == 2


def test_unknown_fault_suggests_nearest_name() -> None:
    with pytest.raises(OperatorError, match="did you mean kill-shipper"):
        fault_list.find_trial("kill-shiper")


def test_duration_of_fault_can_be_chosen() -> None:
    assert [fault.seconds for fault in fault_list.find_trial("kill-shipper+engine-away", 7.0).faults] == [7.0, 7.0]
    assert [fault.seconds for fault in fault_list.find_trial("engine-away").faults] == [120.0]


@pytest.mark.parametrize("name", [name for name in fault_list.FAULTS if name != "no-fault"])
def test_every_fault_has_its_row_in_the_docs(name: str) -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = [row.split(" | ")[0] for row in rows]
    assert any(f"`{name}`" in names for names in named), f"add a row for `{name}` to docs/reliability.md, The faults"
