"""Matrix with known results of its trials, without an engine, and its output by ``scripts/chaos``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ignore_progress
from tests.chaos import fault_list, matrix
from tests.chaos.__main__ import chaos
from tests.chaos.scenario import Pace, TrialResult

PACE = Pace(rate=1, before_seconds=0)


class Engine:
    """Stand-in that counts its revivals."""

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
def run_proxy(_: str) -> Iterator[None]:
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
def test_matrix_reports_failed_trial_and_runs_the_next(
    error: Exception, reason: str, *, comes_back: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_trial(trial: fault_list.Trial, **_: Any) -> TrialResult:
        if trial.name == "kill-worker":
            raise error
        return TrialResult(trial=trial, seen=None, broken=[])

    for name, stand_in in (("Engine", Engine), ("run_proxy", run_proxy), ("run_trial", run_trial)):
        monkeypatch.setattr(matrix, name, stand_in)
    monkeypatch.setattr(Engine, "comes_back", comes_back)
    trials = [fault_list.find_trial(name) for name in ("kill-worker", "kill-shipper")]
    first, second = matrix.run_trials(trials, root=tmp_path, pace=PACE, report=ignore_progress)
    assert first.broken[0] == f"it did not come to its end: {reason}"
    assert first.broken[1:] == ([] if comes_back else ["Elasticsearch does not come back: no jars"])
    assert (second.trial.name, second.broken) == ("kill-shipper", [])
    assert Engine.revived == 1


@pytest.mark.parametrize("error", [OperatorError("the engine has not ended"), KeyboardInterrupt()])
def test_chaos_prints_finished_trials_when_one_fails(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_trials(*_: object, **__: Any) -> Iterator[TrialResult]:
        yield TrialResult(trial=fault_list.find_trial("no-fault"), seen=None, broken=["it was too calm"])
        raise error

    monkeypatch.setattr(matrix, "run_trials", run_trials)
    monkeypatch.setattr("tests.chaos.__main__.leave_root", lambda _: None)
    with pytest.raises(type(error)):
        chaos(fault=["no-fault", "kill-worker"], json=True)
    (shown,) = orjson.loads(capsys.readouterr().out)["trials"]
    assert (shown["fault"], shown["broken"]) == ("no-fault", ["it was too calm"])
