"""The engine that chaos breaks, where there is none."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import say_nothing
from tests.chaos.engine import Engine


@pytest.mark.parametrize("breaking", [Engine.kill, Engine.suspend, Engine.resume])
def test_an_engine_that_does_not_run_is_not_broken_and_nobody_else_gets_its_signal(
    breaking: Callable[[Engine], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, signal.Signals]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    with pytest.raises(OperatorError, match="Elasticsearch does not run"):
        breaking(Engine(tmp_path, say_nothing))
    assert sent == []
