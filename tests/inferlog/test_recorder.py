"""Recorders: ids, order, counts and thread safety of written lines."""

import itertools
import logging
import os
import re
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

import inferlog
from inferlog.audit import FIRST, split
from inferlog.configuration import get_runtime
from inferlog.context import Inference
from inferlog.event import ACTION_AND_OUTCOME
from inferlog.recorder import IdMaker, make_id_maker, make_instance_id
from tests.support.logfiles import Logs
from tests.support.polling import wait_until


def build_finished() -> Inference:
    inference = Inference()
    inference.bind({"status": "success", "latency_seconds": 0.1, "request_id": "r", "correlation_id": "c"})
    return inference


def test_event_that_sink_raises_for_is_counted_as_dropped(logs: Logs) -> None:
    events = get_runtime().events

    def broken(_: bytes) -> bool:
        raise RuntimeError("not what a sink may do")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events._sink, "write", broken)
        inferlog.record_inference(latency_seconds=0.1)
    inferlog.record_inference(latency_seconds=0.1)
    assert (events.written, events.dropped) == (1, 1)
    assert logs.event["event"]["sequence"] == 1


def test_event_has_no_value_of_another_with_the_same_fields(logs: Logs) -> None:
    for version, labels in (("v1", {"tenant": "acme"}), ("v2", {"shard": 7}), ("v3", None)):
        inference = build_finished()
        inference.bind({"model_version": version, "input_tokens": 5, **(labels or {})})
        get_runtime().record(inference)
    assert [(event["model_version"], event.get("labels")) for event in logs.events] == [
        ("v1", {"tenant": "acme"}),
        ("v2", {"shard": 7}),
        ("v3", None),
    ]


def test_event_has_action_and_outcome_of_its_own_status(logs: Logs) -> None:
    for status in (*ACTION_AND_OUTCOME, *ACTION_AND_OUTCOME):
        inference = build_finished()
        inference.bind({"status": status})
        get_runtime().record(inference)
    found = [(event["status"], (event["event"]["action"], event["event"]["outcome"])) for event in logs.events]
    assert found == [*ACTION_AND_OUTCOME.items()] * 2


def test_line_is_the_same_in_whatever_order_the_values_are_bound(logs: Logs) -> None:
    values = {"started_at": 1.5, "http_route": "/b", "input_tokens": 5, "model_name": "a", "z": "é", "y": 1, "é": 2}
    for names in (sorted(values), sorted(values, reverse=True)):
        inference = build_finished()
        inference.bind({name: values[name] for name in names})
        get_runtime().record(inference)
    bodies = [split(event)[3] for event in logs.events]
    own = [re.sub(rb'"id":"[0-9a-f]{32}"|"sequence":[0-9]+', b"", body) for body in bodies]
    assert own[0] == own[1]
    lines = [line for path in logs.directory.glob("events-*") for line in path.read_bytes().splitlines()]
    assert all(line.endswith(body[1:]) for line, body in zip(lines, bodies, strict=True))


def test_recorder_remembers_a_bounded_number_of_field_orders(logs: Logs) -> None:
    names = ("input_tokens", "output_tokens", "batch_size", "in_flight", "latency_seconds", "queue_seconds")
    for order in itertools.islice(itertools.permutations(names), 300):
        inference = Inference()
        inference.bind({"request_id": "r", "correlation_id": "c", "status": "success"} | dict.fromkeys(order, 1))
        get_runtime().record(inference)
    assert len(logs.events) == 300
    assert len(get_runtime().events._layouts) <= 256


def test_thread_binding_after_request_loses_no_event(logs: Logs) -> None:
    inference = build_finished()
    stop = threading.Event()

    def bind_always() -> None:
        while not stop.is_set():
            inference.bind({"input_tokens": 1, "model_version": "v1"})
            inference.fields.pop("input_tokens", None)
            inference.fields.pop("model_version", None)

    thread = threading.Thread(target=bind_always)
    thread.start()
    try:
        for _ in range(3_000):
            get_runtime().record(inference)
    finally:
        stop.set()
        thread.join()
    assert len(logs.events) == 3_000
    assert inferlog.configuration.get_runtime().events.dropped == 0


def test_line_within_line_of_same_thread_is_written_after_it(logs: Logs) -> None:
    """Log like a finaliser, which may run at any allocation."""
    events, write = get_runtime().events, get_runtime().events._sink.write
    within = iter([1])

    def logging_write(line: bytes) -> bool:
        for _ in within:
            get_runtime().record(build_finished())
        return write(line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events._sink, "write", logging_write)
        get_runtime().record(build_finished())
    first, second = logs.events
    assert [first["event"]["sequence"], second["event"]["sequence"]] == [0, 1]
    assert first["audit"]["prev"] == FIRST
    assert second["audit"]["prev"] == first["audit"]["hash"]


def test_signal_handler_may_log_at_any_moment(logs: Logs) -> None:
    log = inferlog.get_logger()
    logged = 0

    def log_in_handler(*_: object) -> None:
        nonlocal logged
        logged += 1
        log.info("logged")
        get_runtime().record(build_finished())

    before = signal.signal(signal.SIGALRM, log_in_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    recorded = 0
    deadline = time.monotonic() + 60
    try:
        while logged < 200:
            assert time.monotonic() < deadline
            log.info("working")
            get_runtime().record(build_finished())
            recorded += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    inferlog.shutdown()
    assert [event["event"]["sequence"] for event in logs.events] == list(range(recorded + logged))
    lines = [line["message"] for line in logs.read_lines("app")]
    assert (lines.count("working"), lines.count("logged")) == (recorded, logged)


def test_ids_are_32_hexadecimal_digits_in_order() -> None:
    make_id = make_id_maker()
    ids = [make_id() for _ in range(1000)]
    assert all(re.fullmatch("[0-9a-f]{32}", made) for made in ids)
    assert ids == sorted(ids)


def test_later_maker_ids_come_later() -> None:
    assert make_id_maker()()[:13] <= make_id_maker()()[:13]


def test_threads_share_maker_without_sharing_id() -> None:
    make_id = make_id_maker()
    with ThreadPoolExecutor(8) as threads:
        made = [future.result() for future in [threads.submit(_make_many, make_id) for _ in range(8)]]
    ids = [one for some in made for one in some]
    assert len(set(ids)) == len(ids) == 8 * 2000


def test_id_makers_of_same_moment_make_different_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_780_000_000_000_000_000)
    assert len({make_id_maker()() for _ in range(1000)}) == 1000


def test_instance_id_is_16_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{16}", make_instance_id())
    assert make_instance_id() != make_instance_id()


def _make_many(make_id: IdMaker) -> list[str]:
    return [make_id() for _ in range(2000)]


def test_finaliser_may_log_by_stdlib_while_another_thread_waits_for_its_line(logs: Logs) -> None:
    sink, other = get_runtime().app._sink, logging.getLogger("other")
    write, within = sink.write, iter([1])
    waiting = threading.Thread(target=other.warning, args=("from another thread",), daemon=True)

    def is_waiting() -> bool:
        frame = sys._current_frames().get(waiting.ident or 0)
        return frame is not None and frame.f_code.co_name == "_put"

    def logging_write(line: bytes) -> bool:
        for _ in within:
            waiting.start()
            wait_until(is_waiting)
            other.warning("from a finaliser")
        return write(line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sink, "write", logging_write)
        writing = threading.Thread(target=other.warning, args=("first",), daemon=True)
        writing.start()
        writing.join(20)
        assert not writing.is_alive()
        waiting.join(20)
    lines = [line["message"] for line in logs.read_lines("app")]
    assert lines == ["first", "from a finaliser", "from another thread"]


class Interruption(BaseException):
    """Like KeyboardInterrupt, by a signal handler."""


@pytest.mark.parametrize("interruption", [Interruption, TimeoutError])
@pytest.mark.parametrize("written", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("copies", ["file", "file,stdout"])
def test_event_whose_write_a_signal_handler_interrupts_counts_once(
    tmp_path: Path, interruption: type[BaseException], written: bool, copies: str
) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path, sinks=copies, heartbeat_seconds=0)
    write = os.write

    def write_and_interrupt(descriptor: int, line: bytes) -> int:
        if b"interrupted" not in line or descriptor < 3:
            return write(descriptor, line)
        if written:
            write(descriptor, line)
        raise interruption

    inferlog.record_inference(latency_seconds=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inferlog.sinks.file.os.write", write_and_interrupt)
        with nullcontext() if interruption is TimeoutError else pytest.raises(interruption):
            inferlog.record_inference(latency_seconds=0.1, model_version="interrupted")
    inferlog.record_inference(latency_seconds=0.1)
    inferlog.shutdown()
    stats, events = inferlog.stats(), Logs(tmp_path).events
    assert (stats.events_written, stats.events_dropped) == ((3, 0) if written else (2, 1))
    assert [event["event"]["sequence"] for event in events] == ([0, 1, 2] if written else [0, 2])
    assert [event["audit"]["prev"] for event in events] == [FIRST, *(event["audit"]["hash"] for event in events[:-1])]


def test_interrupted_write_of_a_part_of_the_line_breaks_only_that_event(tmp_path: Path) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=0)
    write = os.write

    def write_half(descriptor: int, line: bytes) -> int:
        write(descriptor, line[: len(line) // 2])
        raise Interruption

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inferlog.sinks.file.os.write", write_half)
        with pytest.raises(Interruption):
            inferlog.record_inference(latency_seconds=0.1)
    inferlog.record_inference(latency_seconds=0.1)
    inferlog.shutdown()
    (path,) = tmp_path.glob("events-*")
    half, whole = path.read_bytes().splitlines()
    assert not half.endswith(b"}")
    assert whole.endswith(b"}")
    assert inferlog.stats().events_dropped == 1
