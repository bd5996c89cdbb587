"""Wrong clocks in separate processes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.chaos.faults import clock

_SHOW = "import time; print(time.time(), time.time_ns() / 1e9, time.monotonic())"


@pytest.mark.parametrize("installed", [True, False])
def test_process_clock_is_an_hour_behind_and_monotonic_clock_is_right(
    installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed:
        monkeypatch.setattr(clock, "_FOLDERS", ())
        assert "not installed" in clock.describe_method()
    environment = clock.build_fake_clock_environment(tmp_path / "clock")
    clock.set_clock_offset(tmp_path / "clock", -3600)
    shown = subprocess.run([sys.executable, "-P", "-c", _SHOW], env=environment, capture_output=True, check=True)
    seconds, nanoseconds, monotonic = map(float, shown.stdout.split())
    assert time.time() - seconds == pytest.approx(3600, abs=30)
    assert nanoseconds == pytest.approx(seconds, abs=5)
    assert 0 <= time.monotonic() - monotonic < 30


def test_users_python_path_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users_own.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(clock, "_FOLDERS", ())
    environment = clock.build_fake_clock_environment(tmp_path / "clock")
    subprocess.run([sys.executable, "-P", "-c", "import users_own"], env=environment, check=True)
