"""Process faults, injected into stand-ins that record each call."""

from types import SimpleNamespace
from typing import Any

import pytest

from inferlog_ops.core.errors import OperatorError
from tests.chaos import fault_list
from tests.chaos.faults import process_faults
from tests.chaos.faults.fault import Injection
from tests.chaos.interleave import take_turns


def test_kill_worker_raises_when_worker_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_faults, "_REPLACED_WITHIN_SECONDS", 0.0)
    stack: Any = SimpleNamespace(server=SimpleNamespace(list_workers=lambda: ["the only one"]))
    with pytest.raises(OperatorError, match="the service has 1 of its 2 workers, 0 s after one ended"):
        list(process_faults.kill_worker(stack, 5.0))


class Broken:
    """Recording stand-in for a process."""

    def __init__(self, name: str, done: list[str]) -> None:
        self._name = name
        self._done = done

    def __getattr__(self, action: str) -> Any:
        return lambda: self._done.append(f"{action} {self._name}")


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def stack(done: list[str]) -> Any:
    return SimpleNamespace(
        engine=Broken("engine", done),
        shipper=Broken("shipper", done),
        start_shipper=lambda: done.append("start shipper"),
    )


@pytest.mark.parametrize(
    ("inject", "steps"),
    [
        (process_faults.kill_engine, ["kill engine", "start engine"]),
        (process_faults.shut_engine_down, ["stop engine", "start engine"]),
        (process_faults.kill_shipper, ["kill shipper", "start shipper"]),
    ],
)
def test_fault_repairs_process_when_wait_is_interrupted(
    inject: Injection, steps: list[str], stack: Any, done: list[str]
) -> None:
    breaking = inject(stack, 30.0)
    next(breaking)
    breaking.close()
    assert done == steps


@pytest.mark.parametrize("inject", [process_faults.kill_engine, process_faults.shut_engine_down])
def test_engine_stays_stopped_for_requested_time(inject: Injection, stack: Any) -> None:
    assert list(inject(stack, 7.0)) == [7.0]


def test_shipper_is_killed_repeatedly_while_engine_is_stopped(
    stack: Any, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pair, a hundred times as fast as by default."""
    shipper, engine = fault_list.find_trial("kill-shipper+kill-engine").faults
    for name in ("_SECONDS_BETWEEN_KILLS", "_RESTARTED_AFTER_SECONDS"):
        monkeypatch.setattr(process_faults, name, getattr(process_faults, name) / 100)
    take_turns([fault.inject(stack, fault.seconds / 100) for fault in (engine, shipper)], lambda: None)
    away = done[done.index("kill engine") : done.index("start engine")]
    assert away.count("kill shipper") >= 2
