"""Engine of a home: a running one is used, and a benchmark stops only its own engine."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.engines import open_engine
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home
from inferlog_ops.engine import presence
from inferlog_ops.engine.presence import RunningEngine

WAITS = "import signal; print('ready', flush=True); signal.pause()"


@pytest.fixture
def somebody_s() -> Iterator["subprocess.Popen[bytes]"]:
    """Stand-in process for an engine started by another program."""
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.fixture
def own_home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.engine.mkdir()
    return home


@contextmanager
def hold_engine(home: Home, process: "subprocess.Popen[bytes]") -> Iterator[None]:
    with presence.hold(home.engine) as lock:
        assert lock is not None
        presence.note_holder(lock, process.pid)
        yield


def test_running_engine_in_home_is_used_and_left_running(own_home: Home, somebody_s: "subprocess.Popen[bytes]") -> None:
    with hold_engine(own_home, somebody_s):
        there = RunningEngine(
            url="http://127.0.0.1:9", pid=somebody_s.pid, version="8.19.21", started=datetime.now(UTC)
        )
        presence.publish(own_home.engine, there)
        with open_engine(home=own_home.root) as used:
            assert (used.url, used.pid) == (there.url, there.pid)
        assert somebody_s.poll() is None


def test_starting_engine_is_not_stopped_when_its_home_is_rejected(
    own_home: Home, somebody_s: "subprocess.Popen[bytes]"
) -> None:
    with (
        hold_engine(own_home, somebody_s),
        pytest.raises(OperatorError, match="in use by an engine that is starting or stopping"),
        open_engine(home=own_home.root),
    ):
        pass
    assert somebody_s.poll() is None
