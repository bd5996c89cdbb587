import asyncio
import errno
import os
import re
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from pathlib import Path

import pytest

import inferlog
from inferlog.configuration import get_runtime
from inferlog.runtime import Runtime, build_inference
from inferlog.settings import Settings
from inferlog.sinks.stdout import StderrSink
from tests.support.logfiles import Logs


def record_one() -> None:
    with inferlog.track_performance("predict"):
        pass


async def receive() -> dict[str, object]:
    return {"type": "http.request"}


async def send(_message: object) -> None:
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


@pytest.mark.parametrize(
    "make_inner",
    [nullcontext, lambda: inferlog.track_performance("inner"), lambda: inferlog.track_performance(separate=True)],
    ids=["in a call", "in a call inside a call", "in a separate call"],
)
def test_calls_in_a_child_that_was_forked_within_a_call_have_their_own_events(
    logs: Logs, make_inner: Callable[[], AbstractContextManager[object]]
) -> None:
    with inferlog.track_performance("outer"):
        with make_inner():
            child = os.fork()
            if child == 0:
                record_one()
                inferlog.record_inference(latency_seconds=0.1)
                inferlog.bind_inference(output_tokens=1)
        if child == 0:
            inferlog.get_logger().info("inference_completed", latency_seconds=0.1)
    if child == 0:
        os._exit(0)  # after the ends of the blocks
    assert os.waitpid(child, 0)[1] == 0
    outer = [event for event in logs.events if event.get("gen_ai") == {"operation": {"name": "outer"}}]
    instance_id = outer[0]["service"]["instance"]["id"]
    of_child = [event for event in logs.events if event["service"]["instance"]["id"] != instance_id]
    assert (len(outer), len(of_child)) == (1, 3)
    assert {event["correlation_id"] for event in of_child} == {outer[0]["correlation_id"]}


def test_calls_in_a_process_pool_that_begins_within_a_request_have_their_own_events(logs: Logs) -> None:
    async def answer(_scope: object, _receive: object, send: Callable[..., Awaitable[None]]) -> None:
        with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
            for _ in range(3):
                pool.submit(record_one).result()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(inferlog.InferenceMiddleware(answer)(scope, receive, send))
    (request,) = (event for event in logs.events if "http" in event)
    calls = [event for event in logs.events if "http" not in event]
    assert len(calls) == 3
    assert {event["correlation_id"] for event in calls} == {request["correlation_id"]}


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


def read_open_files(directory: Path) -> list[str]:
    links = [link for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    return [path.name for path in map(Path.readlink, links) if path.is_relative_to(directory)]


def record_late(runtime: Runtime) -> None:
    runtime.record_finished(build_inference({"latency_seconds": 0.5}), None)
    runtime.log("late", level="info", logger="app", values={})


@pytest.mark.parametrize("is_used", [False, True])
def test_event_of_replaced_configuration_is_written_and_leaves_nothing_open(tmp_path: Path, is_used: bool) -> None:
    inferlog.configure(service_name="first", log_dir=tmp_path, heartbeat_seconds=3600)
    replaced = get_runtime()  # as read by another thread just before the next call
    if is_used:
        record_late(replaced)
    inferlog.configure(service_name="second", log_dir=tmp_path, heartbeat_seconds=3600)
    for _ in range(2):
        record_late(replaced)
    assert [event["event"]["sequence"] for event in Logs(tmp_path).events] == list(range(2 + is_used))
    assert len(Logs(tmp_path).read_lines("app")) == 2 + is_used
    assert read_open_files(tmp_path) == []
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("inferlog-")]


def test_lost_event_of_replaced_configuration_is_reported_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    inferlog.configure(service_name="first", log_dir=tmp_path / "logs", heartbeat_seconds=0)
    replaced = get_runtime()
    inferlog.configure(service_name="second", log_dir=tmp_path / "elsewhere", heartbeat_seconds=0)
    (tmp_path / "logs").touch()
    for _ in range(2):
        replaced.record_finished(build_inference({"latency_seconds": 0.5}), None)
        assert "1 event lost" in capfd.readouterr().err
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("inferlog-")]


def test_concurrent_configurations_leave_nothing_open(tmp_path: Path) -> None:
    stop = threading.Event()

    def write_always() -> None:
        while not stop.is_set():
            record_one()

    writers = [threading.Thread(target=write_always) for _ in range(4)]
    for number in range(10):
        inferlog.configure(service_name=f"service {number}", log_dir=tmp_path, heartbeat_seconds=3600)
        if not number:
            for writer in writers:
                writer.start()
    stop.set()
    for writer in writers:
        writer.join()
    inferlog.shutdown()
    assert read_open_files(tmp_path) == []
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("inferlog-")]
