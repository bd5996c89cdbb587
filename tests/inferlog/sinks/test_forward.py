"""The forward sink against a real socket that behaves like Fluentd: it accepts MessagePack and sends no response."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

import inferlog
from inferlog.configuration import get_runtime
from inferlog.sinks.forward import ForwardSink
from tests.support.logfiles import Logs
from tests.support.polling import wait_until


class Receiver:
    """Accepts connections one at a time and keeps the received data."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        unpacker = msgpack.Unpacker(strict_map_key=False)
        with connection:
            while data := connection.recv(65536):
                unpacker.feed(data)
                self.messages += list(unpacker)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A bound port without a listener, so that no other process uses it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


def record(count: int) -> None:
    for _ in range(count):
        with inferlog.track_performance("predict", model_version="v1"):
            pass


def configure(log_dir: Path, port: int, **settings: Any) -> None:
    inferlog.configure(
        service_name="scoring",
        log_dir=log_dir,
        sinks="file,forward",
        forward_port=port,
        heartbeat_seconds=0,
        **settings,
    )


def test_file_and_forward_carry_same_events(tmp_path: Path, receiver: Receiver) -> None:
    configure(tmp_path, receiver.port)
    record(50)
    inferlog.shutdown()
    wait_until(lambda: len(receiver.messages) == 50, what="50 messages")
    assert {tag for tag, _, _ in receiver.messages} == {"inference.events"}
    assert [event for _, _, event in receiver.messages] == Logs(tmp_path).events


def test_unreachable_fluentd_does_not_block_and_drops_are_counted(tmp_path: Path, unused_port: int) -> None:
    configure(tmp_path, unused_port, forward_queue_events=10)
    record(500)
    events = get_runtime().events
    wait_until(lambda: events.copies_dropped > 0, what="a drop")
    assert (events.written, events.dropped) == (500, 0)
    inferlog.shutdown()
    assert len(Logs(tmp_path).events) == 500


def test_closing_does_not_wait_for_fluentd_that_hangs(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        configure(tmp_path, deaf.getsockname()[1])
        record(2_000)
        inferlog.shutdown()  # takes two seconds a sink; the queue would take hours


def test_forked_child_sends_its_own(tmp_path: Path, receiver: Receiver) -> None:
    configure(tmp_path, receiver.port)
    record(1)
    child = os.fork()
    if child == 0:
        try:
            record(2)
            inferlog.shutdown()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    inferlog.shutdown()
    wait_until(lambda: len(receiver.messages) == 3, what="three messages")
    assert len({event["service"]["instance"]["id"] for _, _, event in receiver.messages}) == 2


def test_full_buffer_counts_each_lost_message() -> None:
    sink = ForwardSink("events", host="127.0.0.1", port=1, queue_events=1)
    sink._count(msgpack.packb(["tag", 1, {}]) + msgpack.packb(["tag", 2, {}]))
    assert sink.copies_dropped == 2


def test_simultaneous_lines_are_sent_in_one_batch_in_order(receiver: Receiver) -> None:
    sink = ForwardSink("events", host="127.0.0.1", port=receiver.port, queue_events=1_000)
    sink.write(b'{"number":0}')
    sends = 0

    def counted(send: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
        def send_and_count(packets: bytes) -> bool:
            nonlocal sends
            sends += 1
            return send(packets)

        return send_and_count

    sink._sender._send_internal = counted(sink._sender._send_internal)
    for number in range(1, 300):
        sink.write(b'{"number":%d}' % number)
    sink.close()
    wait_until(lambda: len(receiver.messages) == 300, what="300 messages")
    assert [content["number"] for _, _, content in receiver.messages] == list(range(300))
    assert sends < 100
