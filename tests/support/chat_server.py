"""The service as a process of its own on a real socket, started as users start it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2 as httpx
import openai
import pytest

from tests.support.logfiles import Logs
from tests.support.polling import wait_until

MODEL = "smollm2-135m-instruct"


@dataclass(frozen=True)
class RunningServer:
    """A running service and its log files."""

    process: subprocess.Popen[str]
    home: Path
    url: str
    pid: int
    logs: Logs

    def build_client(self) -> openai.OpenAI:
        """Return OpenAI's own client, without retries."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=0)

    def ask(self, text: str = "Say hello.", *, headers: Mapping[str, str] | None = None, **more: Any) -> httpx.Response:
        """Send one chat request as plain HTTP."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": text}], **more}
        return self.post(json=body, headers=headers)

    def post(self, **request: Any) -> httpx.Response:
        """Send a request of any form to the chat route."""
        # There are no certificates to verify, and loading those of the system takes longer than the request.
        return httpx.post(f"{self.url}/v1/chat/completions", **request, timeout=60, verify=False)

    def connect(self, correlation_id: str = "", **body: Any) -> socket.socket:
        """Send one chat request over a socket that the test can close at any time."""
        return connect(self.url, correlation_id, **body)

    def wait_for_event(self, request_id: str | None) -> dict[str, Any]:
        """Return the only event of a request, by the ``x-request-id`` of its response."""
        assert request_id
        (event,) = wait_until(
            lambda: [event for event in self.logs.events if event["request_id"] == request_id],
            what=f"the event of {request_id}",
        )
        return event

    def find_events_like(self, response: httpx.Response) -> list[dict[str, Any]]:
        """Return the events with the correlation id of *response*, because events of other tests may still arrive."""
        correlation_id = response.headers["x-correlation-id"]
        return [event for event in self.logs.events if event["correlation_id"] == correlation_id]

    def wait_for_event_of_chain(self, correlation_id: str) -> dict[str, Any]:
        """Return the only event of a request, by its correlation id."""
        (event,) = wait_until(
            lambda: [event for event in self.logs.events if event["correlation_id"] == correlation_id],
            what=f"the event of {correlation_id}",
        )
        return event

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(timeout=30)


def connect(url: str, correlation_id: str = "", **body: Any) -> socket.socket:
    """Send one chat request to *url* over a socket that the test can close at any time."""
    content = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}], **body}).encode()
    connection = dial(url)
    connection.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
        b"x-correlation-id: %b\r\ncontent-length: %d\r\n\r\n" % (correlation_id.encode(), len(content)) + content
    )
    return connection


def dial(url: str) -> socket.socket:
    """Open a connection to *url* and send nothing."""
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


@contextmanager
def run_server(home: Path, environment: Mapping[str, str] | None = None, **settings: Any) -> Iterator[RunningServer]:
    """Start the service with *settings* and with all its files in *home*, and stop it at the end."""
    home.mkdir(exist_ok=True)
    ready_file = home / "ready.json"
    outside = {name: value for name, value in os.environ.items() if not name.startswith("INFERLOG_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "inferlog_server", *format_options(port=0, ready_file=ready_file, **settings)],
        cwd=home,
        env={**outside, "INFERLOG_LOG_DIR": str(home / "logs"), **(environment or {})},
        stderr=subprocess.PIPE,
        text=True,
    )

    def ready() -> dict[str, Any] | None:
        if process.poll() is not None:
            assert process.stderr
            pytest.fail(f"the service ended with {process.returncode}: {process.stderr.read()}")
        return json.loads(ready_file.read_text()) if ready_file.exists() else None

    with process:
        try:
            where = wait_until(ready, timeout_seconds=60, what="the ready file")
            yield RunningServer(process, home, where["url"], where["pid"], Logs(home / "logs"))
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=30)


def format_options(**settings: Any) -> list[str]:
    """Format *settings* as command-line options."""
    texts = {name: value if isinstance(value, str | Path) else json.dumps(value) for name, value in settings.items()}
    return [f"--{name.replace('_', '-')}={text}" for name, text in texts.items()]


class StartServer(Protocol):
    """Starts a service with its arguments as settings, until the end of the test."""

    def __call__(self, **settings: Any) -> RunningServer: ...
