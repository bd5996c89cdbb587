"""Faults that end processes, where the service does not do its part."""

from types import SimpleNamespace
from typing import Any

import pytest

from inferlog_ops.chaos.faults import ends
from inferlog_ops.errors import OperatorError


def test_a_worker_that_nobody_replaces_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "_REPLACED_WITHIN_SECONDS", 0.0)
    stack: Any = SimpleNamespace(server=SimpleNamespace(workers=lambda: ["the only one"]))
    with pytest.raises(OperatorError, match="the service has 1 of its 2 workers, 0 s after one ended"):
        list(ends.kill_worker(stack, 5.0))
