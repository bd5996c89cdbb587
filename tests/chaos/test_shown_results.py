"""What ``scripts/chaos`` shows of trials whose ends are known."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from inferlog_ops.core.errors import OperatorError
from tests.chaos import catalogue, matrix, unprivileged
from tests.chaos.__main__ import chaos
from tests.chaos.scenario import Result


@pytest.mark.parametrize("error", [OperatorError("the engine has not ended"), KeyboardInterrupt()])
def test_what_was_done_before_something_fails_is_shown(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def results(*_: object, **__: Any) -> Iterator[Result]:
        yield Result(trial=catalogue.trial("no-fault"), seen=None, broken=["it was too calm"])
        raise error

    monkeypatch.setattr(matrix, "results", results)
    monkeypatch.setattr(unprivileged, "leave_root", lambda _: None)
    with pytest.raises(type(error)):
        chaos(fault=["no-fault", "kill-worker"], json=True)
    (shown,) = orjson.loads(capsys.readouterr().out)["trials"]
    assert (shown["fault"], shown["broken"]) == ("no-fault", ["it was too calm"])
