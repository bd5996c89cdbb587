"""Output of ``scripts/chaos`` for known results."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from inferlog_ops.core.errors import OperatorError
from tests.chaos import fault_list, matrix
from tests.chaos.__main__ import chaos
from tests.chaos.scenario import TrialResult


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
