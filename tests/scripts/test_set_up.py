"""Set-up of .venv by scripts/demo and scripts/test."""

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
    spec = importlib.util.spec_from_file_location("set_up", SCRIPTS / "lib/set_up.py")
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
    monkeypatch.setattr(module, "done", done, raising=False)
    return module


def get_lock(set_up: ModuleType, name: str = "requirements.lock") -> Path:
    lock: Path = set_up.LOCKS / name
    return lock


def test_second_set_up_does_nothing(set_up: ModuleType) -> None:
    for _ in range(2):
        set_up.set_up(get_lock(set_up))
    assert set_up.done == ["made", "requirements.lock"]


def test_demo_set_up_installs_the_demo_and_its_load_generator(set_up: ModuleType) -> None:
    for _ in range(2):
        for lock in set_up.DEMO_LOCKS:
            set_up.set_up(get_lock(set_up, lock))
    assert set_up.done == ["made", "requirements.lock", "requirements-traffic.lock"]


def test_development_set_up_runs_again_after_a_changed_demo_set_up(set_up: ModuleType) -> None:
    set_up.set_up(get_lock(set_up, "requirements-dev.lock"))
    stamp = json.loads(set_up.STAMP.read_text())
    set_up.STAMP.write_text(json.dumps(stamp | {"requirements-traffic.lock": "an earlier one"}))
    for lock in (*set_up.DEMO_LOCKS, "requirements-dev.lock"):
        set_up.set_up(get_lock(set_up, lock))
    assert set_up.done == ["made", "requirements-dev.lock", "requirements-traffic.lock", "requirements-dev.lock"]


def test_locks_installed_together_have_the_same_versions(set_up: ModuleType) -> None:
    pinned = [
        dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", get_lock(set_up, lock).read_text(), re.MULTILINE))
        for lock in set_up.DEMO_LOCKS
    ]
    both = pinned[0].keys() & pinned[1].keys()
    assert "urllib3" in both
    assert {name: pinned[0][name] for name in both} == {name: pinned[1][name] for name in both}


def test_development_set_up_includes_the_demo(set_up: ModuleType) -> None:
    for lock in ("requirements-dev.lock", *set_up.DEMO_LOCKS):
        set_up.set_up(get_lock(set_up, lock))
    assert set_up.done == ["made", "requirements-dev.lock"]


def test_moved_checkout_or_other_python_is_set_up_again(set_up: ModuleType) -> None:
    set_up.set_up(get_lock(set_up))
    stamp = json.loads(set_up.STAMP.read_text())
    set_up.STAMP.write_text(json.dumps(stamp | {"python": "3.12 in another place"}))
    set_up.set_up(get_lock(set_up))
    assert set_up.done == ["made", "requirements.lock"] * 2


def test_interrupted_installation_starts_again(set_up: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(set_up, "install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            set_up.set_up(get_lock(set_up))
    set_up.set_up(get_lock(set_up))
    assert set_up.done == ["made", "made", "requirements.lock"]


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "differs from the lock file"),
        ("OSError: [Errno 28] No space left on device", "is full; make room"),
        ("NewConnectionError('<x>: Failed to establish')", "the package index cannot be reached"),
        ("line\nERROR: something else\nmore", "pip install failed: ERROR: something else"),
    ],
)
def test_pip_error_becomes_one_sentence(set_up: ModuleType, output: str, sentence: str) -> None:
    assert sentence in set_up.explain_failure(output)
    assert "\n" not in set_up.explain_failure(output)


@pytest.mark.parametrize("script", ["demo", "test"])
def test_old_python_is_one_sentence(tmp_path: Path, script: str) -> None:
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
