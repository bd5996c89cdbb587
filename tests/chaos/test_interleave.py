"""Interleaving of two faults."""

from collections.abc import Generator

import pytest

from tests.chaos.interleave import take_turns


def _record_steps(name: str, *pauses: float, done: list[str]) -> Generator[float]:
    try:
        for number, pause in enumerate(pauses):
            done.append(f"{name}{number}")
            yield pause
    finally:
        done.append(f"{name} repaired")


def _pass_check() -> None:
    """Pass every check."""


def test_steps_run_when_due() -> None:
    done: list[str] = []
    take_turns([_record_steps("a", 0.1, 0.1, done=done), _record_steps("b", 0.05, 0.3, done=done)], _pass_check)
    assert done == ["a0", "b0", "b1", "a1", "a repaired", "b repaired"]


def test_error_in_check_repairs_all_faults() -> None:
    done: list[str] = []

    def check() -> None:
        raise RuntimeError("the service has died")

    with pytest.raises(RuntimeError, match="has died"):
        take_turns([_record_steps("a", 5.0, done=done), _record_steps("b", 5.0, done=done)], check)
    assert done == ["a0", "b0", "a repaired", "b repaired"]


def _fail_to_repair() -> Generator[float]:
    try:
        yield 5.0
    finally:
        raise OSError("it does not come back")


def test_failed_repair_hides_no_error_and_blocks_no_other_repair() -> None:
    done: list[str] = []

    def miss() -> Generator[float]:
        yield 0.0
        raise RuntimeError("the reason")

    with pytest.raises(RuntimeError, match="the reason"):
        take_turns([_fail_to_repair(), _record_steps("a", 5.0, done=done), miss()], _pass_check)
    assert done == ["a0", "a repaired"]
