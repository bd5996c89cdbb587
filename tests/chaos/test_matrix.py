"""The course of a matrix, with trials whose ends are known and without an engine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import say_nothing
from tests.chaos import catalogue, matrix
from tests.chaos.scenario import Pace, Result

PACE = Pace(rate=1, before_seconds=0)


class Engine:
    """One that only counts how often it is to be there again."""

    url = "http://127.0.0.1:1"
    revived = 0
    comes_back = True

    def __init__(self, *_: object) -> None:
        Engine.revived = 0

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""

    def revive(self) -> None:
        """Count."""
        Engine.revived += 1
        if not Engine.comes_back:
            raise OperatorError("no jars")


@contextmanager
def proxying(_: str) -> Iterator[None]:
    yield


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OperatorError("the server ended"), "the server ended"),
        (psutil.NoSuchProcess(7), "NoSuchProcess: process no longer exists (pid=7)"),
        (FileNotFoundError(2, "No such file"), "FileNotFoundError: [Errno 2] No such file"),
        (KeyError("items"), "KeyError: 'items'"),
    ],
)
@pytest.mark.parametrize("comes_back", [True, False])
def test_a_trial_that_breaks_off_is_told_and_the_next_one_is_done(
    error: Exception, reason: str, *, comes_back: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def carry_out(trial: catalogue.Trial, **_: Any) -> Result:
        if trial.name == "kill-worker":
            raise error
        return Result(trial=trial, seen=None, broken=[])

    for name, stand_in in (("Engine", Engine), ("proxying", proxying), ("carry_out", carry_out)):
        monkeypatch.setattr(matrix, name, stand_in)
    monkeypatch.setattr(Engine, "comes_back", comes_back)
    trials = [catalogue.trial(name) for name in ("kill-worker", "kill-shipper")]
    first, second = matrix.results(trials, root=tmp_path, pace=PACE, say=say_nothing)
    assert first.broken[0] == f"it did not come to its end: {reason}"
    assert first.broken[1:] == ([] if comes_back else ["Elasticsearch does not come back: no jars"])
    assert (second.trial.name, second.broken) == ("kill-shipper", [])
    assert Engine.revived == 1
