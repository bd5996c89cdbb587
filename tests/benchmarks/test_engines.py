"""The engine of a home: one that runs there is used, and only what a benchmark started is ended by it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.engines import engine
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home
from inferlog_ops.engine import presence
from inferlog_ops.engine.presence import RunningEngine

WAITS = "import signal; print('ready', flush=True); signal.pause()"


@pytest.fixture
def somebody_s() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that stands for an engine which somebody else has started."""
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
def holding(home: Home, process: "subprocess.Popen[bytes]") -> Iterator[None]:
    with presence.held(home.engine) as lock:
        assert lock is not None
        presence.note_holder(lock, process.pid)
        yield


def test_an_engine_that_runs_in_the_home_is_used_and_left_running(
    own_home: Home, somebody_s: "subprocess.Popen[bytes]"
) -> None:
    with holding(own_home, somebody_s):
        there = RunningEngine(
            url="http://127.0.0.1:9", pid=somebody_s.pid, version="8.19.21", started=datetime.now(UTC)
        )
        presence.publish(own_home.engine, there)
        with engine(home=own_home.root) as used:
            assert (used.url, used.pid) == (there.url, there.pid)
        assert somebody_s.poll() is None


def test_an_engine_that_only_starts_there_is_not_ended_by_whoever_is_refused(
    own_home: Home, somebody_s: "subprocess.Popen[bytes]"
) -> None:
    with (
        holding(own_home, somebody_s),
        pytest.raises(OperatorError, match="in use by an engine that is just starting"),
        engine(home=own_home.root),
    ):
        pass
    assert somebody_s.poll() is None
