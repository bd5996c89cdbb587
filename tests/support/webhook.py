"""Webhook on a real socket that records requests and returns configured responses."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson

from tests.support.serving import serve_handler


@dataclass
class Webhook:
    """
    Recorded requests and configured responses.

    Attributes:
        url: Its address, with a secret path.
        statuses: Status codes of the next responses; 200 afterwards.
        told: Bodies of the requests.
        headers: Headers of each request, with names in lower case.
        hang: Event that delays responses until it is set.
    """

    url: str = ""
    statuses: deque[int] = field(default_factory=deque)
    told: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hang: threading.Event | None = None


@contextmanager
def run_webhook() -> Iterator[Webhook]:
    """Run a `Webhook` on a free port of 127.0.0.1."""
    state = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.told.append(orjson.loads(body))
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            if state.hang:
                state.hang.wait(20)
            status = state.statuses.popleft() if state.statuses else 200
            self.send_response(status)
            if status == 302:
                self.send_header("location", f"{state.url}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output readable."""

    with serve_handler(Handler) as url:
        state.url = f"{url}/hooks/s3cr3t"
        try:
            yield state
        finally:
            if state.hang:
                state.hang.set()
