"""Worker processes end with service_stopped as their last health line."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import inferlog
from inferlog import goodbye
from tests.support.logfiles import Logs

WORKERS = Path(__file__).parent / "served" / "workers.py"


def goodbyes(logs: Logs) -> dict[str, list[str]]:
    """Return the messages of each instance that has an event or a health line."""
    said: dict[str, list[str]] = {event["service"]["instance"]["id"]: [] for event in logs.events}
    for line in logs.lines("health"):
        said.setdefault(line["service"]["instance"]["id"], []).append(line["message"])
    return said


@pytest.mark.parametrize("method", ["fork", "forkserver"])
@pytest.mark.parametrize(
    ("kind", "instances"),
    [
        ("in_a_process", 2),
        ("in_an_executor", 2),
        ("in_a_pool", 2),
        ("in_a_terminated_process", 2),
        ("in_a_worker_of_a_worker", 3),
        ("nowhere", 1),
    ],
)
def test_worker_says_goodbye_when_it_ends(tmp_path: Path, kind: str, instances: int, method: str) -> None:
    subprocess.run([sys.executable, WORKERS, tmp_path, kind, method], check=True, timeout=60)
    assert list(goodbyes(Logs(tmp_path)).values()) == [["service_stopped"]] * instances


def test_process_that_is_no_worker_keeps_its_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goodbye, "_ending", None)
    before = signal.getsignal(signal.SIGTERM)
    goodbye.close_at_the_end_of_a_worker(lambda: None)
    assert signal.getsignal(signal.SIGTERM) is before


def test_signal_during_the_goodbye_does_not_cut_it_short(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def close() -> None:
        goodbye._terminate(signal.SIGTERM, None)
        done.append("closed")

    monkeypatch.setattr(goodbye, "_die_of", lambda number: done.append(f"died of {number}"))
    monkeypatch.setattr(goodbye, "_ending", None)
    goodbye.close_at_the_end_of_a_worker(close)
    goodbye._end()
    assert done == ["closed", "died of 15"]


def test_worker_of_celery_says_goodbye_at_its_signal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    receivers: dict[str, Callable[..., Any]] = {}
    signals = SimpleNamespace(
        worker_process_shutdown=SimpleNamespace(
            connect=lambda receiver, dispatch_uid: receivers.setdefault(dispatch_uid, receiver)
        )
    )
    monkeypatch.setitem(sys.modules, "celery.signals", signals)
    monkeypatch.setattr(goodbye, "_ending", None)
    inferlog.configure(service_name="queue", log_dir=tmp_path, heartbeat_seconds=3600)
    with inferlog.track_performance("in the parent"):
        pass
    child = os.fork()
    if child == 0:
        try:
            with inferlog.track_performance("in the worker"):
                pass
            (receiver,) = receivers.values()
            receiver(sender=None, pid=os.getpid(), exitcode=0)
        finally:
            os._exit(0)  # as a worker of Celery ends
    assert os.waitpid(child, 0)[1] == 0
    assert [line["message"] for line in Logs(tmp_path).lines("health")] == ["service_stopped"]
    inferlog.shutdown()
    assert list(goodbyes(Logs(tmp_path)).values()) == [["service_stopped"]] * 2
