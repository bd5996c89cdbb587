"""End of a trial, on stand-ins for its processes."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos import scenario, stack
from tests.chaos.trial_dirs import TrialDirs

SAYS_WHAT_IT_IS_TOLD = (
    "import os, sys; print(sys.argv[1:], [name for name in os.environ if name.startswith('INFERLOG_')])"
)


def _build_stand_in() -> Any:
    return SimpleNamespace(stop=lambda: None)


def test_remaining_lines_are_shipped_without_the_users_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFERLOG_LOG_DIR", "/of/the/user")
    monkeypatch.setattr(stack, "build_ship_command", lambda **_: [sys.executable, "-c", SAYS_WHAT_IT_IS_TOLD])
    dirs = TrialDirs(tmp_path / "trial")
    dirs.make()
    (dirs.logs / "events-chaos-1-0001.jsonl").write_text("{}\n")
    whole: Any = stack.Stack(
        dirs=dirs,
        engine=_build_stand_in(),
        proxy=_build_stand_in(),
        through_proxy=False,
        cluster=SimpleNamespace(namespace="chaos", url="http://127.0.0.1:9"),  # type: ignore[arg-type]
        server=_build_stand_in(),
        load=_build_stand_in(),
        report=lambda _: None,
    )
    whole.shipper = _build_stand_in()
    scenario._end(whole)
    said = (dirs.output / "shipper-1.log").read_text()
    assert "'--once'" in said
    assert "'http://127.0.0.1:9'" in said
    assert said.endswith(" []\n"), said
