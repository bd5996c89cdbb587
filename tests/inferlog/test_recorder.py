"""What the recorder owes to a sink that breaks its word, and to a thread that goes on binding."""

import signal
import threading
import time

import pytest

import inferlog
from inferlog.audit import FIRST
from inferlog.configuration import runtime
from inferlog.context import Inference
from tests.support.logfiles import Logs


def finished() -> Inference:
    inference = Inference()
    inference.bind({"status": "success", "latency_seconds": 0.1, "request_id": "r", "correlation_id": "c"})
    return inference


def test_an_event_that_a_sink_raises_for_is_counted_as_dropped(logs: Logs) -> None:
    events = runtime().events

    def broken(_: bytes) -> bool:
        raise RuntimeError("not what a sink may do")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events._sink, "write", broken)
        with pytest.raises(RuntimeError):
            runtime().record(finished())
    runtime().record(finished())
    assert (events.written, events.dropped) == (1, 1)
    assert logs.event["event"]["sequence"] == 1


def test_a_thread_that_goes_on_binding_costs_no_event(logs: Logs) -> None:
    inference = finished()
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
            runtime().record(inference)
    finally:
        stop.set()
        thread.join()
    assert len(logs.events) == 3_000
    assert inferlog.configuration.runtime().events.dropped == 0


def test_a_line_within_a_line_of_the_same_thread_is_written_after_it(logs: Logs) -> None:
    """As a finaliser that logs does, which may run wherever an object is made."""
    events, write = runtime().events, runtime().events._sink.write
    within = iter([1])

    def logging_write(line: bytes) -> bool:
        for _ in within:
            runtime().record(finished())
        return write(line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events._sink, "write", logging_write)
        runtime().record(finished())
    first, second = logs.events
    assert [first["event"]["sequence"], second["event"]["sequence"]] == [0, 1]
    assert first["audit"]["prev"] == FIRST
    assert second["audit"]["prev"] == first["audit"]["hash"]


def test_a_signal_handler_may_log_at_any_moment(logs: Logs) -> None:
    log = inferlog.get_logger()
    told = 0

    def tell(*_: object) -> None:
        nonlocal told
        told += 1
        log.info("told")
        runtime().record(finished())

    before = signal.signal(signal.SIGALRM, tell)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    recorded = 0
    deadline = time.monotonic() + 60
    try:
        while told < 200:
            assert time.monotonic() < deadline
            log.info("working")
            runtime().record(finished())
            recorded += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    inferlog.shutdown()
    assert [event["event"]["sequence"] for event in logs.events] == list(range(recorded + told))
    lines = [line["message"] for line in logs.lines("app")]
    assert (lines.count("working"), lines.count("told")) == (recorded, told)
