"""Slow, oversized and malformed requests: others are still answered, and each writes one event."""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any
from uuid import uuid4

import pytest

from tests.security.raw_http import PATIENCE_SECONDS, build_request, dial, exchange
from tests.support.chat_server import MODEL, RunningServer, run_server
from tests.support.polling import wait_until

HEAD_SECONDS, BODY_SECONDS = 1.0, 1.0
HALF_OPEN = 200
LARGEST_BYTES = 16_384
_AT_ONCE = {"first_token_median_seconds": 0, "token_median_seconds": 0}
CLOSE = b"connection: close"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with run_server(
        tmp_path_factory.mktemp("attacked"),
        backend="simulated",
        versions=[{"name": "v1", "share": 1, "simulated": _AT_ONCE}],
        head_timeout_seconds=HEAD_SECONDS,
        body_timeout_seconds=BODY_SECONDS,
        max_body_bytes=LARGEST_BYTES,
    ) as server:
        yield server
        server.terminate()
        lines = [line for path in (server.home / "logs").glob("*.jsonl") for line in path.read_bytes().split(b"\n")]
        assert all(json.loads(line) for line in lines if line)


@pytest.fixture
def chain() -> str:
    return f"attack-{uuid4().hex}"


def build_chat(**more: Any) -> bytes:
    return json.dumps(
        {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1} | more
    ).encode()


def read_events(server: RunningServer, chain: str) -> list[dict[str, Any]]:
    """Return the events of *chain*, after a later request's event has been written."""
    later = server.ask(max_tokens=1)
    server.wait_for_event(later.headers["x-request-id"])
    return [event for event in server.logs.events if event["correlation_id"] == chain]


def test_requests_are_answered_while_slow_connections_are_open(server: RunningServer) -> None:
    with ExitStack() as connections:
        held = [connections.enter_context(dial(server.url)) for _ in range(HALF_OPEN)]
        began = time.monotonic()
        for connection in held:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: te")
        assert server.ask(max_tokens=1).status_code == 200
        open_ones = list(held)

        def all_closed() -> bool:
            for connection in list(open_ones):
                if is_closed(connection):
                    open_ones.remove(connection)
                else:
                    send_a_byte(connection)
            return not open_ones

        wait_until(all_closed, timeout_seconds=PATIENCE_SECONDS, what="the connections' end")
        assert time.monotonic() - began >= HEAD_SECONDS / 2
    assert server.ask(max_tokens=1).status_code == 200


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def send_a_byte(connection: socket.socket) -> None:
    with suppress(ConnectionError):
        connection.send(b"x")


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n",
        b"DELETE /healthz HTTP/1.1\r\nhost: test\r\ncontent-length: 1000000\r\n\r\n",
    ],
    ids=["at first", "after an answer", "in a body that is not read"],
)
def test_slow_client_is_disconnected(server: RunningServer, begin: bytes) -> None:
    with dial(server.url) as connection:
        connection.sendall(begin)
        if begin:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 ")

        def closed() -> bool:
            send_a_byte(connection)
            return is_closed(connection)

        wait_until(closed, timeout_seconds=PATIENCE_SECONDS, what="the connection's end")


def test_connection_used_in_time_stays_open(server: RunningServer) -> None:
    until = time.monotonic() + 2 * HEAD_SECONDS
    with dial(server.url) as connection:
        while time.monotonic() < until:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200 ")


def test_response_may_take_longer_than_the_head_timeout(tmp_path_factory: pytest.TempPathFactory) -> None:
    slow = {"first_token_median_seconds": 1, "token_median_seconds": 0, "sigma": 0}
    with run_server(
        tmp_path_factory.mktemp("slow"),
        backend="simulated",
        versions=[{"name": "v1", "share": 1, "simulated": slow}],
        head_timeout_seconds=0.2,
    ) as server:
        assert server.ask(max_tokens=1).status_code == 200
        assert server.ask(max_tokens=1, stream=True).text.endswith("data: [DONE]\n\n")


ONE_EVENT = {
    "a body larger than allowed": (build_request(b" " * 4 * LARGEST_BYTES, CLOSE), 413),
    "a chunked body larger than allowed": (
        build_request(
            b"%x\r\n%b\r\n0\r\n\r\n" % (4 * LARGEST_BYTES, b" " * 4 * LARGEST_BYTES),
            b"transfer-encoding: chunked",
            CLOSE,
        ),
        413,
    ),
    "a length that never comes": (build_request(b"{", CLOSE, length=10**15), 408),
    "a chunk that never ends": (build_request(b"ffffff\r\n{", b"transfer-encoding: chunked", CLOSE), 408),
    "deep nesting": (build_request(b"[" * 10_000, CLOSE), 400),
    "a number of 10 000 digits": (
        build_request(build_chat(max_tokens=0).replace(b": 0", b": " + b"9" * 10_000), CLOSE),
        400,
    ),
    "a number beyond all": (
        build_request(build_chat(temperature=0).replace(b'ture": 0', b'ture": 1e999999'), CLOSE),
        400,
    ),
    "UTF-16": (build_request(build_chat().decode().encode("utf-16"), CLOSE), 400),
    "Latin-1": (build_request(build_chat(user="é").replace(b"\\u00e9", b"\xe9"), CLOSE), 400),
    "compressed": (build_request(gzip.compress(build_chat()), b"content-encoding: gzip", CLOSE), 400),
    "null bytes": (build_request(b"\x00" * 1_000, CLOSE), 400),
    "a header value with non-ASCII bytes": (build_request(build_chat(), b"x-request-id: \xff\xfe\x80", CLOSE), 200),
    "a thousand headers": (build_request(build_chat(), *(b"x-%d: y" % number for number in range(1_000)), CLOSE), 200),
    "a path with a null byte and an escape": (build_request(build_chat(), CLOSE, path=b"/v1/%00%1b%0a%e2%80%a8"), 404),
    "a path with a slash too many": (build_request(build_chat(), CLOSE, path=b"/v1/chat/completions/"), 404),
    "a path of 10 000 bytes": (build_request(build_chat(), CLOSE, path=b"/" + b"a" * 10_000), 404),
}


@pytest.mark.parametrize("case", ONE_EVENT)
def test_valid_request_is_answered_and_writes_one_event(server: RunningServer, chain: str, case: str) -> None:
    raw, status = ONE_EVENT[case]
    answer = exchange(server.url, raw.replace(b"host: test", b"host: test\r\nx-correlation-id: " + chain.encode(), 1))
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    (event,) = read_events(server, chain)
    assert event["http"]["response"]["status_code"] == status
    assert len(json.dumps(event)) < 3_000


NO_EVENT = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    "a head of 1 MB": build_request(build_chat(), b"x-long: " + b"a" * 1_000_000),
    "a path of 1 MB": build_request(build_chat(), path=b"/" + b"a" * 1_000_000),
    "20 000 headers": build_request(build_chat(), *(b"x-%d: y" % number for number in range(20_000))),
    "two lengths": build_request(build_chat(), b"content-length: 5", b"content-length: 50"),
    "a negative length": build_request(build_chat(), b"content-length: -1"),
    "an unknown coding": build_request(build_chat(), b"transfer-encoding: gzip, chunked"),
    "a header with a null byte": build_request(build_chat(), b"x-request-id: a\x00b"),
    "a space before the colon": build_request(build_chat(), b"x-request-id : a"),
}


@pytest.mark.parametrize("case", NO_EVENT)
def test_invalid_request_is_rejected_and_writes_no_event(server: RunningServer, chain: str, case: str) -> None:
    raw = NO_EVENT[case].replace(b"host: test", b"host: test\r\nx-correlation-id: " + chain.encode(), 1)
    answer = exchange(server.url, raw)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 "), answer[:200]
    assert read_events(server, chain) == []


@pytest.mark.parametrize(
    "raw",
    [
        build_request(build_chat()[:-10], length=len(build_chat())),
        build_request(b'5\r\n{"mod\r\n', b"transfer-encoding: chunked"),
        build_request(b"zz\r\n{}\r\n0\r\n\r\n", b"transfer-encoding: chunked"),
    ],
    ids=["a body shorter than its length", "chunks without an end", "a chunk length that is not a number"],
)
def test_incomplete_body_counts_as_disconnected_client(server: RunningServer, chain: str, raw: bytes) -> None:
    raw = raw.replace(b"host: test", b"host: test\r\nx-correlation-id: " + chain.encode(), 1)
    with dial(server.url) as connection:
        connection.sendall(raw)
    event = server.wait_for_event_of_chain(chain)
    assert event["status"] in {"cancelled", "rejected"}
    assert read_events(server, chain) == [event]


def test_bytes_after_a_body_are_a_separate_request(server: RunningServer, chain: str) -> None:
    """A length that is too small cannot hide a request from the log."""
    head = b"x-correlation-id: " + chain.encode()
    assert (
        exchange(server.url, build_request(build_chat() + b"forged\r\n\r\n", head, length=len(build_chat()))).count(
            b"HTTP/1.1 "
        )
        == 2
    )
    assert [event["status"] for event in read_events(server, chain)] == ["success"]
    both = exchange(server.url, build_request(build_chat(), head) + build_request(build_chat(), head, CLOSE))
    assert both.count(b"HTTP/1.1 200 ") == 2
    assert [event["status"] for event in read_events(server, chain)] == ["success"] * 3
