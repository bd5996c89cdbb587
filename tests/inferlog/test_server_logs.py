"""
Log records of web servers and HTTP clients: written with the request's ids and without client input.

The servers are real and started as their users start them, with nothing set for this library; only a service that
calls ``uvicorn.run`` itself has to pass ``log_config=None``, or uvicorn undoes what ``configure()`` has set up before.
"""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import requests

from inferlog.testing import recording
from tests.support.logfiles import Logs
from tests.support.polling import wait_until
from tests.support.serving import serve_wsgi

SERVICES = Path(__file__).parent / "served"
SECRET = "tell-nobody-4711"
UVICORN = ("uvicorn", "--app-dir", str(SERVICES), "asgi_service:app")
GUNICORN = ("gunicorn", "--chdir", str(SERVICES), "--access-logfile=-", "--log-level=info")
UVICORN_WORKER = ("--worker-class=uvicorn.workers.UvicornWorker", "asgi_service:app")
SERVERS = {
    "uvicorn": UVICORN,
    "uvicorn in the service's own process": (str(SERVICES / "asgi_service.py"),),
    "gunicorn": (*GUNICORN, "wsgi_service:app"),
    "gunicorn with threads, preloaded": (*GUNICORN, "--threads=2", "--preload", "wsgi_service:app"),
    "gunicorn with uvicorn": (*GUNICORN, *UVICORN_WORKER),
    "gunicorn with uvicorn, preloaded": (*GUNICORN, "--preload", *UVICORN_WORKER),
}


@dataclass(frozen=True)
class Served:
    """A service that has answered one request and failed one."""

    logs: Logs
    answer: httpx.Response
    console: str

    def read_lines(self, logger: str) -> list[dict[str, Any]]:
        return [line for line in self.logs.read_lines("app") if line["log"]["logger"] == logger]


@contextmanager
def listen() -> Iterator[socket.socket]:
    """Hold a listening socket for a server process, so that no free port is guessed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        yield listener


@contextmanager
def serve(home: Path, *server: str, **environment: str) -> Iterator[httpx.Client]:
    """Start *server*, yield a client of it, and stop it. Its logs are in ``logs``, its output in ``console.txt``."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("INFERLOG_")}
    with listen() as listener, (home / "console.txt").open("w") as out:
        number = listener.fileno()
        where = f"--bind=fd://{number}" if server[0] == "gunicorn" else f"--fd={number}"
        process = subprocess.Popen(
            [sys.executable, *([] if server[0].endswith(".py") else ["-m"]), *server, where],
            env={**outside, "INFERLOG_LOG_DIR": str(home / "logs"), **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=[number],
        )
        try:
            address = "http://127.0.0.1:{1}".format(*listener.getsockname())
            with httpx.Client(base_url=address, verify=False, timeout=30, headers={"referer": SECRET}) as client:
                yield client
        finally:
            process.terminate()
            process.wait(timeout=30)


def run(home: Path, *server: str, **environment: str) -> Served:
    """Start *server*, send two requests, and stop it."""
    logs = Logs(home / "logs")
    with serve(home, *server, **environment) as client:
        answer = client.get(f"/predict?prompt={SECRET}", headers={"x-correlation-id": "order-17"})
        assert client.get(f"/fail?prompt={SECRET}").status_code == 500
        wait_until(lambda: len(logs.events) == 2, what="both events")
    return Served(logs, answer, (home / "console.txt").read_text())


@pytest.fixture(scope="module", params=list(SERVERS.values()), ids=list(SERVERS))
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    return run(tmp_path_factory.mktemp("served"), *request.param)


def read_access_lines(served: Served) -> list[dict[str, Any]]:
    return served.read_lines("uvicorn.access") + served.read_lines("gunicorn.access")


def test_access_line_has_ids_of_its_request(served: Served) -> None:
    lines = read_access_lines(served)
    events = served.logs.events

    assert [line["message"] for line in lines] == ["GET /predict 200", "GET /fail 500"]
    answered = next(event for event in events if event["status"] == "success")
    assert lines[0]["request_id"] == answered["request_id"] == served.answer.headers["x-request-id"]
    assert lines[0]["correlation_id"] == answered["correlation_id"] == "order-17"
    failed = next(event for event in events if event["status"] == "error")
    assert lines[1]["request_id"] == failed["request_id"]


def test_line_with_traceback_has_ids_of_its_request(served: Served) -> None:
    (failed,) = [event for event in served.logs.events if event["status"] == "error"]
    (line,) = [line for line in served.logs.read_lines("app") if "error" in line]

    assert line["log"]["logger"] in ("uvicorn.error", "gunicorn.error")
    assert line["error"]["type"] == "RuntimeError"
    assert (line["request_id"], line["correlation_id"]) == (failed["request_id"], failed["correlation_id"])


def test_handler_for_all_exceptions_logs_with_ids_of_request(served: Served) -> None:
    (failed,) = [event for event in served.logs.events if event["status"] == "error"]
    predicting, *apologising = served.read_lines("scoring")

    assert predicting["request_id"] == served.answer.headers["x-request-id"]
    assert [line["request_id"] for line in apologising] in ([], [failed["request_id"]])


def test_query_strings_and_headers_are_in_no_file(served: Served) -> None:
    for path in served.logs.directory.rglob("*"):
        assert path.is_dir() or SECRET not in path.read_text(), path


def test_lines_outside_requests_have_no_ids(served: Served) -> None:
    lines = served.read_lines("uvicorn.error") + served.read_lines("gunicorn.error")

    assert [line for line in lines if "request_id" not in line]


def test_server_writes_its_own_log_as_before(tmp_path: Path) -> None:
    assert f'"GET /predict?prompt={SECRET} HTTP/1.1" 200' in run(tmp_path, *UVICORN).console


SILENT = [(*UVICORN, "--no-access-log"), ("gunicorn", "--chdir", str(SERVICES), "wsgi_service:app")]


@pytest.mark.parametrize("server", SILENT, ids=["uvicorn", "gunicorn"])
def test_access_lines_that_server_does_not_write_are_not_written_here(tmp_path: Path, server: tuple[str, ...]) -> None:
    assert read_access_lines(run(tmp_path, *server)) == []


def test_log_level_holds_for_servers_too(tmp_path: Path) -> None:
    lines = run(tmp_path, *UVICORN, INFERLOG_LOG_LEVEL="warning").logs.read_lines("app")

    assert {line["log"]["level"] for line in lines} == {"error", "warning"}


HANDSHAKE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize(("path", "status", "answer"), [("/chat", 101, "[accepted]"), ("/elsewhere", 403, "403")])
def test_line_of_websocket_loses_its_query_string(tmp_path: Path, path: str, status: int, answer: str) -> None:
    with serve(tmp_path, *UVICORN) as client:
        assert client.get(f"{path}?prompt={SECRET}&ticket=Zq8", headers=HANDSHAKE).status_code == status
    lines = [str(line["message"]) for line in Logs(tmp_path / "logs").read_lines("app")]

    (line,) = [line for line in lines if "WebSocket" in line]
    assert line.endswith(f' - "WebSocket {path}" {answer}')
    assert not [line for line in lines if SECRET in line]


def answer_ok(_: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [b"ok"]


def test_line_of_development_server_loses_its_query_string(logs: Logs) -> None:
    with serve_wsgi(answer_ok) as url:
        httpx.get(f"{url}/predict?prompt={SECRET}")
    (line,) = [line for line in logs.read_lines("app") if line["log"]["logger"] == "werkzeug"]
    assert '"GET /predict HTTP/1.1" 200' in line["message"]
    assert SECRET not in line["message"]


@pytest.fixture(autouse=True)
def _clients_at_their_own_level(caplog: pytest.LogCaptureFixture) -> None:
    """Undo the log level that the example service's upstream backend sets for the process."""
    for name in ("httpx2", "httpcore2"):
        caplog.set_level(logging.NOTSET, logger=name)


def test_line_of_http_client_loses_its_query_string(logs: Logs) -> None:
    with serve_wsgi(answer_ok) as url:
        httpx.post(f"{url}/predict?prompt={SECRET}&key=1")
    (line,) = [line for line in logs.read_lines("app") if line["log"]["logger"] == "httpx2"]
    assert line["message"] == f'HTTP Request: POST {url}/predict "HTTP/1.1 200 OK"'


@pytest.mark.parametrize(
    ("ask", "logger"), [(httpx.get, "httpcore2"), (requests.get, "urllib3")], ids=["httpx", "requests"]
)
def test_client_lines_have_no_query_string_at_level_debug(ask: Callable[[str], object], logger: str) -> None:
    def redirecting(_: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("307 Temporary Redirect", [("Location", f"/elsewhere?prompt={SECRET}")])
        return []

    with (
        recording(log_level="debug") as recorded,
        serve_wsgi(redirecting) as url,
        suppress(requests.TooManyRedirects),
    ):
        ask(f"{url}/predict?prompt={SECRET}")
    assert any(line["log"]["logger"].startswith(logger) for line in recorded.log_lines)
    assert not [line for line in recorded.log_lines if SECRET in str(line)]


CLIENTS = ("httpx", "httpcore.http11", "urllib3.connectionpool", "requests", "aiohttp.client")
SERVERS_WITHOUT_A_TRIAL = ("aiohttp.access", "django.server", "hypercorn.access", "tornado.access", "websockets.server")


@pytest.mark.parametrize("name", [*CLIENTS, *SERVERS_WITHOUT_A_TRIAL])
def test_every_address_in_line_of_client_or_server_loses_its_query_string(logs: Logs, name: str) -> None:
    logging.getLogger(name).warning("redirected from %s to %s", "https://a.example?q=1", "https://b.example/x?q=2")
    (line,) = logs.read_lines("app")
    assert line["message"] == "redirected from https://a.example to https://b.example/x"


def test_quoted_address_keeps_only_its_own_quotes(logs: Logs) -> None:
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" 403', "10.0.0.1:4711", f'/chat?a="{SECRET}"&b="')
    (line,) = logs.read_lines("app")
    assert line["message"] == '10.0.0.1:4711 - "WebSocket /chat" 403'


def test_lines_of_other_loggers_are_unchanged(logs: Logs) -> None:
    logging.getLogger("requests_queue").warning("is /a?b=c meant")
    (line,) = logs.read_lines("app")
    assert line["message"] == "is /a?b=c meant"


def test_server_worker_writes_last_heartbeat_when_stopped(served: Served) -> None:
    instances = {event["service"]["instance"]["id"] for event in served.logs.events}
    last = {line["service"]["instance"]["id"]: line["message"] for line in served.logs.read_lines("health")}
    assert last == dict.fromkeys(instances, "service_stopped")
