import errno
import os
import re
import threading
from pathlib import Path

import pytest

import inferlog
from inferlog.runtime import Runtime
from inferlog.settings import Settings
from inferlog.sinks.stdout import StderrSink
from tests.support.logfiles import Logs


def record_one() -> None:
    with inferlog.track_performance("predict"):
        pass


def test_forked_child_has_own_instance_sequence_and_file(logs: Logs) -> None:
    record_one()
    child = os.fork()
    if child == 0:
        try:
            record_one()
            record_one()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    record_one()
    by_instance: dict[str, list[int]] = {}
    for event in logs.events:
        by_instance.setdefault(event["service"]["instance"]["id"], []).append(event["event"]["sequence"])
    assert sorted(by_instance.values()) == [[0, 1], [0, 1]]
    assert len({event["event"]["id"] for event in logs.events}) == 4
    assert len(list(logs.directory.glob("events-*"))) == 2


def test_forked_child_reads_no_startup_file(tmp_path: Path) -> None:
    key = tmp_path / "audit.key"
    key.write_bytes(b"k" * 32)
    inferlog.configure(service_name="scoring", log_dir=tmp_path / "logs", audit_key_file=key)
    with inferlog.track_performance("before"):
        pass
    key.unlink()
    child = os.fork()
    if child == 0:
        with inferlog.track_performance("in the child"):
            pass
        inferlog.shutdown()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    inferlog.shutdown()
    events = Logs(tmp_path / "logs").events
    assert [event["event"]["sequence"] for event in events] == [0, 0]
    assert len({event["service"]["instance"]["id"] for event in events}) == 2


def test_fork_while_thread_writes_does_not_hang_child(logs: Logs) -> None:
    stop = threading.Event()

    def write_always() -> None:
        while not stop.is_set():
            record_one()

    writer = threading.Thread(target=write_always)
    writer.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                try:
                    record_one()
                finally:
                    os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        writer.join()
    assert len({event["service"]["instance"]["id"] for event in logs.events}) == 21


def test_threads_share_one_gapless_sequence_in_order_of_time(logs: Logs) -> None:
    def record_many() -> None:
        for _ in range(500):
            record_one()

    threads = [threading.Thread(target=record_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = logs.events
    assert [event["event"]["sequence"] for event in events] == list(range(4000))
    times = [event["@timestamp"] for event in events]
    assert times == sorted(times)
    assert len({event["event"]["id"] for event in events}) == 4000


def test_second_configuration_replaces_first(logs: Logs) -> None:
    record_one()
    inferlog.configure(service_name="other", log_dir=logs.directory)
    record_one()
    first, second = sorted(logs.events, key=lambda event: event["@timestamp"])
    assert (first["service"]["name"], second["service"]["name"]) == ("scoring", "other")
    assert first["service"]["instance"]["id"] != second["service"]["instance"]["id"]


def test_unwritable_directory_is_rejected_and_old_configuration_kept(
    logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    sentence = (
        f"log_dir is '{tmp_path}', where no file can be created ({tmp_path}: Permission denied); "
        f"expected a directory writable by user {os.geteuid()}"
    )
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", refuse)
        with pytest.raises(inferlog.SettingsError, match=f"^{re.escape(sentence)}$"):
            inferlog.configure(log_dir=tmp_path)
        inferlog.configure(log_dir=tmp_path, sinks="stdout")
        inferlog.configure(log_dir=logs.directory.parent / "new", service_name="scoring")
    record_one()
    assert len(Logs(tmp_path / "new").events) == 1


def test_forked_child_directory_may_have_become_unwritable(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: pytest.fail("checked again"))
    child = os.fork()
    if child == 0:
        record_one()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(logs.events) == 1


def test_every_sink_is_released_in_child_although_one_raises() -> None:
    released = []

    class Sink(StderrSink):
        def detach_after_fork(self) -> None:
            released.append(self)
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    Runtime.begin(Settings(), lambda _: Sink()).detach_after_fork()
    assert len(released) == len(["events", "app", "health"])
