"""What scripts/demo and scripts/test do before anything else."""

import importlib.util
import json
import os
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def set_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The set-up's module, working on an environment that is not ours; nothing is installed."""
    spec = importlib.util.spec_from_file_location("set_up", SCRIPTS / "set_up.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / "checkout" / ".venv"
    monkeypatch.setattr(module, "VENV", venv)
    monkeypatch.setattr(module, "STAMP", venv / "stamp.json")
    done: list[str] = []

    def make_venv() -> None:
        (venv / "bin").mkdir(parents=True, exist_ok=True)
        (venv / "bin" / "python").touch()
        done.append("made")

    monkeypatch.setattr(module, "make_venv", make_venv)
    monkeypatch.setattr(module, "install", lambda wanted: done.append(wanted.name))
    monkeypatch.setattr(module, "check_room", lambda: None)
    module.done = done
    return module


def wanted(set_up: ModuleType, name: str = "requirements.lock") -> Path:
    return set_up.LOCKS / name


def test_a_second_time_there_is_nothing_to_do(set_up: ModuleType) -> None:
    for _ in range(2):
        set_up.set_up(wanted(set_up))
    assert set_up.done == ["made", "requirements.lock"]


def test_the_demo_gets_what_it_runs_and_what_sends_it_requests(set_up: ModuleType) -> None:
    for _ in range(2):
        for lock in set_up.DEMO_LOCKS:
            set_up.set_up(wanted(set_up, lock))
    assert set_up.done == ["made", "requirements.lock", "requirements-traffic.lock"]


def test_after_the_demo_s_set_up_the_one_for_developing_begins_anew(set_up: ModuleType) -> None:
    set_up.set_up(wanted(set_up, "requirements-dev.lock"))
    stamp = json.loads(set_up.STAMP.read_text())
    set_up.STAMP.write_text(json.dumps(stamp | {"requirements-traffic.lock": "an earlier one"}))
    for lock in (*set_up.DEMO_LOCKS, "requirements-dev.lock"):
        set_up.set_up(wanted(set_up, lock))
    assert set_up.done == ["made", "requirements-dev.lock", "requirements-traffic.lock", "requirements-dev.lock"]


def test_locks_that_are_installed_together_say_the_same(set_up: ModuleType) -> None:
    pinned = [
        dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", wanted(set_up, lock).read_text(), re.MULTILINE))
        for lock in set_up.DEMO_LOCKS
    ]
    both = pinned[0].keys() & pinned[1].keys()
    assert "urllib3" in both
    assert {name: pinned[0][name] for name in both} == {name: pinned[1][name] for name in both}


def test_what_is_set_up_for_developing_is_enough_for_running(set_up: ModuleType) -> None:
    for lock in ("requirements-dev.lock", *set_up.DEMO_LOCKS):
        set_up.set_up(wanted(set_up, lock))
    assert set_up.done == ["made", "requirements-dev.lock"]


def test_a_moved_checkout_or_another_python_is_set_up_anew(set_up: ModuleType) -> None:
    set_up.set_up(wanted(set_up))
    stamp = json.loads(set_up.STAMP.read_text())
    set_up.STAMP.write_text(json.dumps(stamp | {"python": "3.12 in another place"}))
    set_up.set_up(wanted(set_up))
    assert set_up.done == ["made", "requirements.lock"] * 2


def test_an_interrupted_installation_begins_anew(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(set_up, "install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            set_up.set_up(wanted(set_up))
    set_up.set_up(wanted(set_up))
    assert set_up.done == ["made", "made", "requirements.lock"]


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "is not the one that the lock"),
        ("OSError: [Errno 28] No space left on device", "is full; make room"),
        ("NewConnectionError('<x>: Failed to establish')", "the package index cannot be reached"),
        ("line\nERROR: something else\nmore", "pip install failed: ERROR: something else"),
    ],
)
def test_what_pip_says_becomes_one_sentence(set_up: ModuleType, output: str, sentence: str) -> None:
    assert sentence in set_up.explained(output)
    assert "\n" not in set_up.explained(output)


@pytest.mark.parametrize("script", ["demo", "test"])
def test_an_old_python_alone_is_one_sentence(tmp_path: Path, script: str) -> None:
    old = tmp_path / "bin with space" / "python3"
    old.parent.mkdir()
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit\nexit 1\n')
    old.chmod(0o755)
    done = subprocess.run(
        [SCRIPTS / script], env={**os.environ, "INFERLOG_PYTHON": str(old)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"inferlog: {old} is Python 3.9.2; Python 3.11 or newer is needed")
    assert done.stderr.count("\n") == 1
