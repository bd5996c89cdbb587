"""Log injection through headers, names and paths of requests to the real service."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.security.raw_http import build_request, exchange
from tests.support.chat_server import MODEL, RunningServer, run_server

_AT_ONCE = {"first_token_median_seconds": 0, "token_median_seconds": 0}
CLOSE = b"connection: close"
FORGED = b'"},"forged":"yes"}{"event":{"id":"forged"}}'
TEXTS = {
    "JSON that ends the line's": FORGED,
    "an escape that clears the screen": b"\x1b[2J\x1b]0;owned\x07",
    "a bare carriage return": b"a\rb",
    "line separators": "a\u2028b\u2029c\x85d".encode(),
    "no UTF-8": b"\xff\xfe\xc3",
    "half a pair, and the mark that turns text round": b"\xed\xa0\x80" + "\u202e".encode(),
    "backslashes": b'\\u0000\\n\\"\\',
    "8 000 letters": b"x" * 8_000,
}
HEADERS = (
    b"x-request-id",
    b"x-correlation-id",
    b"traceparent",
    b"tracestate",
    b"user-agent",
    b"x-client-id",
    b"referer",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("injected")
    with run_server(
        home,
        {"INFERLOG_CLIENT_ID_PLAIN": "true"},
        backend="simulated",
        versions=[{"name": "v1", "share": 1, "simulated": _AT_ONCE}],
        client_id_header="x-client-id",
    ) as server:
        yield server


def build_body(**more: object) -> bytes:
    return json.dumps(
        {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1} | more
    ).encode()


def read_lines(server: RunningServer) -> list[bytes]:
    return [
        line for path in sorted((server.home / "logs").glob("*.jsonl")) for line in path.read_bytes().split(b"\n")[:-1]
    ]


def check(written: list[bytes]) -> None:
    for line in written:
        found = json.loads(line.decode())
        assert "forged" not in found
        assert found["event"]["id"] != "forged"
        # cat and less -r show plain text.
        assert not any(byte < 0x20 or byte == 0x7F for byte in line)
        assert len(line) < 5_000


@pytest.mark.parametrize("text", TEXTS)
def test_header_text_stays_a_value_of_one_line(server: RunningServer, text: str) -> None:
    before = len(server.logs.events)
    for header in HEADERS:
        answer = exchange(server.url, build_request(build_body(), header + b": " + TEXTS[text], CLOSE))
        status = int(answer.split(b" ", 2)[1])
        assert status in {200, 400}
        # The response has a valid id of the client, or one of ours: a client cannot end a response header.
        head = answer.partition(b"\r\n\r\n")[0]
        assert b"\x1b" not in head
        assert b"forged" not in head
    last = server.ask(max_tokens=1)
    server.wait_for_event(last.headers["x-request-id"])
    assert len(server.logs.events) <= before + len(HEADERS) + 1
    check(read_lines(server))


@pytest.mark.parametrize("text", TEXTS)
def test_names_and_paths_stay_values_of_one_line(server: RunningServer, text: str) -> None:
    raw = TEXTS[text]
    written = raw.decode("latin-1")
    quoted = b"".join(b"%%%02x" % byte for byte in raw)
    chain = uuid4().hex.encode()
    ours = (b"x-correlation-id: " + chain, CLOSE)
    for sent in (
        build_request(build_body(model=written), *ours),
        build_request(build_body(user=written, **{written: written}), *ours),
        build_request(build_body(), *ours, path=b"/v1/" + quoted),
        build_request(build_body(), *ours, path=b"/v1/chat/completions?" + quoted),
    ):
        assert exchange(server.url, sent).split(b" ", 2)[1] in {b"200", b"404"}
    server.wait_for_event(server.ask(max_tokens=1).headers["x-request-id"])
    events = [event for event in server.logs.events if event["correlation_id"] == chain.decode()]
    assert [event["status"] for event in events].count("success") == 2
    assert len(events) == 4
    assert {event["http"].get("route", "/v1/chat/completions") for event in events} == {"/v1/chat/completions"}
    check(read_lines(server))
