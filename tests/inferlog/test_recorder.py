"""What the recorder owes to a sink that breaks its word, and to a thread that goes on binding."""

import threading

import pytest
from logfiles import Logs

import inferlog
from inferlog.configuration import runtime
from inferlog.context import Inference


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
