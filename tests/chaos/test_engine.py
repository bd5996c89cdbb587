"""Signals to an engine that does not run."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ignore_progress
from tests.chaos.engine import Engine


@pytest.mark.parametrize("breaking", [Engine.kill, Engine.suspend, Engine.resume])
def test_stopped_engine_sends_no_signal_to_another_process(
    breaking: Callable[[Engine], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, signal.Signals]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    with pytest.raises(OperatorError, match="Elasticsearch does not run"):
        breaking(Engine(tmp_path, ignore_progress))
    assert sent == []
