"""A stand-in for Elasticsearch on a real socket that injects faults."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import orjson

from tests.support.serving import serve_handler

Item = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    The fault of one bulk request.

    Attributes:
        status: The HTTP status.
        body: Sent instead of the bulk response.
        stores: Whether the documents are stored despite the fault.
        cut: Closes the connection "before" or "after" the body is read, or in the "middle" of the response.
        hang: Delays the response until this event is set.
        item: Returns the result of a document by its id; None for the usual result.
        headers: Additional response headers.
    """

    status: int = 200
    body: bytes | None = None
    stores: bool = False
    cut: str | None = None
    hang: threading.Event | None = None
    item: Callable[[str], Item | None] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def build_error_body(error_type: str, reason: str, status: int) -> bytes:
    """Return an error body in the format of Elasticsearch."""
    return orjson.dumps({"error": {"type": error_type, "reason": reason}, "status": status})


def build_refused_item(status: int, error_type: str, reason: str = "for a test") -> Item:
    """Return the result of one refused document."""
    return {"status": status, "error": {"type": error_type, "reason": reason}}


@dataclass
class FaultyStore:
    """
    The content of the stand-in and its next faults.

    Attributes:
        url: Its URL.
        indexes: Ids by backing index of each stream; the last one is the write index.
        documents: The stored lines by id.
        stored: Number of stored documents per id: more than one is a duplicate.
        faults: Faults of the next bulk requests, one each, in this order.
        always: Returns the fault of every other bulk request by its stream and ids.
        requests: Method, path and ids of every request, in order.
        headers: Headers of every request, in order.
        largest_bytes: Maximum size of a bulk request; larger ones receive a 413.
        identity: Its cluster uuid.
        identity_faults: Status and body of the next responses with the cluster uuid, one each, in this order.
        refresh_faults: Status and body of the next responses to a refresh, one each, in this order.
        may_search: Whether the shipper's key has more privileges than create_doc.
        authorization: The only accepted header of that name; None accepts all.
    """

    url: str = ""
    indexes: dict[str, list[set[str]]] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    stored: Counter[str] = field(default_factory=Counter)
    faults: deque[Fault] = field(default_factory=deque)
    always: Callable[[str, list[str]], Fault | None] = lambda _stream, _ids: None
    requests: list[tuple[str, str, list[str]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    largest_bytes: int | None = None
    identity: str = "first-store"
    identity_faults: deque[tuple[int, bytes]] = field(default_factory=deque)
    refresh_faults: deque[tuple[int, bytes]] = field(default_factory=deque)
    may_search: bool = True
    authorization: str | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def bulk_sizes(self) -> list[int]:
        """Number of documents per bulk request."""
        return [len(ids) for _, path, ids in self.requests if "/_bulk" in path]

    @property
    def bulk_paths(self) -> list[str]:
        """The path of each bulk request."""
        return [path for _, path, _ in self.requests if "/_bulk" in path]

    def count_requests(self, part: str) -> int:
        """Return the number of requests with *part* in their path."""
        return sum(part in path for _, path, _ in self.requests)

    def roll_over(self, stream: str = "events") -> None:
        """Begin a new backing index."""
        with self.lock:
            self._find_indexes(stream).append(set())

    def take(self, stream: str, lines: list[tuple[str, Any]]) -> list[Item]:
        """Create the documents in the write index, as Elasticsearch does."""
        items = []
        for event_id, document in lines:
            index = self._find_indexes(stream)[-1]
            if event_id in index:
                items.append(build_refused_item(409, "version_conflict_engine_exception"))
                continue
            index.add(event_id)
            self.documents[event_id] = document
            self.stored[event_id] += 1
            items.append({"status": 201})
        return items

    def answer(self, path: str, stream: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the response to a request other than bulk."""
        if not self.may_search:
            return 403, build_error_body("security_exception", "action is unauthorized", 403)
        if "/_refresh" in path and self.refresh_faults:
            return self.refresh_faults.popleft()
        if "/_cluster/state" in path:
            known = 200, orjson.dumps({"cluster_uuid": self.identity})
            return self.identity_faults.popleft() if self.identity_faults else known
        return 200, orjson.dumps(self.search(stream, body) if "/_search" in path else {"_shards": {}})

    def search(self, stream: str, body: bytes) -> Any:
        indexes = self._find_indexes(stream)
        if not body:
            return {"_shards": {"total": len(indexes)}}
        wanted = orjson.loads(body)["query"]["ids"]["values"]
        return {
            "timed_out": False,
            "_shards": {"total": len(indexes)},
            "hits": {"hits": [{"_id": each} for index in indexes for each in wanted if each in index]},
        }

    def _find_indexes(self, stream: str) -> list[set[str]]:
        return self.indexes.setdefault(stream, [set()])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    store: FaultyStore

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def log_message(self, *_arguments: object) -> None:
        """Keep the test's output readable."""

    def _respond(self) -> None:
        stream = self.path.partition("logs-inference.")[2].partition("-")[0]
        length = int(self.headers.get("content-length", 0))
        with self.store.lock:
            self.store.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.store.authorization not in (None, self.headers.get("authorization")):
            self.rfile.read(length)
            self._note([])
            self._answer(401, build_error_body("security_exception", "unable to authenticate", 401))
            return
        if "/_bulk" in self.path:
            self._answer_bulk(stream, length)
            return
        body = self.rfile.read(length)
        with self.store.lock:
            self.store.requests.append((self.command, self.path, []))
            status, answer = self.store.answer(self.path, stream, body)
        self._answer(status, answer)

    def _answer_bulk(self, stream: str, length: int) -> None:
        if self.store.largest_bytes is not None and length > self.store.largest_bytes:
            lines = _parse_ids(self.rfile.read(length))
            self._note([event_id for event_id, _ in lines])
            self._answer(413, b"<html>too large</html>")
            return
        if self.store.faults and self.store.faults[0].cut == "before":
            self.store.faults.popleft()
            self._note([])
            self.close_connection = True
            self.connection.close()
            return
        lines = _parse_ids(self.rfile.read(length))
        ids = [event_id for event_id, _ in lines]
        self._note(ids)
        with self.store.lock:
            fault = self.store.faults.popleft() if self.store.faults else self.store.always(stream, ids)
        self._carry_out(fault or Fault(stores=True), stream, lines)

    def _carry_out(self, fault: Fault, stream: str, lines: list[tuple[str, Any]]) -> None:
        special = {event_id: fault.item(event_id) if fault.item else None for event_id, _ in lines}
        with self.store.lock:
            taken = [line for line in lines if not special[line[0]]] if fault.stores or fault.item else []
            results = iter(self.store.take(stream, taken))
            items = (
                [{"create": special[event_id] or next(results)} for event_id, _ in lines] if taken or fault.item else []
            )
        if fault.hang:
            fault.hang.wait(20)
        if fault.cut == "after":
            self.close_connection = True
            self.connection.close()
            return
        errors = any(item["create"]["status"] >= 300 for item in items)
        answer = orjson.dumps({"errors": errors, "items": items}) if fault.body is None else fault.body
        self._answer(fault.status, answer, fault.headers, only_half=fault.cut == "middle")

    def _note(self, ids: list[str]) -> None:
        with self.store.lock:
            self.store.requests.append((self.command, self.path, ids))

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, only_half: bool = False
    ) -> None:
        self.send_response(status)
        # Elasticsearch's own client believes no other.
        always = {"x-elastic-product": "Elasticsearch", "content-type": "application/json"}
        for name, value in (always | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if only_half else body)
        if only_half:
            self.close_connection = True


def _parse_ids(body: bytes) -> list[tuple[str, Any]]:
    lines = body.split(b"\n")
    assert lines.pop() == b"", "a bulk request ends with an end of line"
    actions = [orjson.loads(line) for line in lines[::2]]
    return [(action["create"]["_id"], line) for action, line in zip(actions, lines[1::2], strict=True)]


@contextmanager
def run_faulty_store(*, certificate: Path | None = None) -> Iterator[FaultyStore]:
    """Run a `FaultyStore` on a free port of 127.0.0.1; with *certificate* (key and certificate, PEM) over TLS."""
    store = FaultyStore()
    handler = type("Handler", (_Handler,), {"store": store})
    with serve_handler(handler, certificate=certificate) as store.url:
        yield store
