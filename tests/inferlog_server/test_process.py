"""Start, stop, several processes, and the errors of a service that cannot start."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import psutil
import pytest

import inferlog
from inferlog_server.inference.weights import find_weights
from inferlog_server.main import main, read_settings
from inferlog_server.serving import _open_listener
from tests.support.chat_server import MODEL, RunningServer, StartServer
from tests.support.polling import wait_until


def start_and_fail(home: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Start a service that cannot start; return its exit code and its standard error."""
    ended = subprocess.run(
        [sys.executable, "-m", "inferlog_server", "--port=0", *arguments],
        check=False,
        cwd=home,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ended.returncode, ended.stderr


def test_health_and_readiness_are_reported_without_events(simulated_server: RunningServer) -> None:
    assert httpx.get(f"{simulated_server.url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{simulated_server.url}/readyz").status_code == 200
    assert httpx.get(f"{simulated_server.url}/openapi.json").status_code == 200
    simulated_server.wait_for_event(simulated_server.ask().headers["x-request-id"])
    routes = {event["http"].get("route") for event in simulated_server.logs.events}
    assert not routes & {"/healthz", "/readyz", "/openapi.json"}


def test_sigterm_lets_an_open_stream_finish_and_exits_with_0(start_server: StartServer) -> None:
    server = start_server(shutdown_timeout_seconds=60)
    chunks = server.build_client().chat.completions.create(
        model=f"{MODEL}:v2", messages=[{"role": "user", "content": "Tell a story."}], max_tokens=60, stream=True
    )
    next(iter(chunks))
    os.kill(server.pid, signal.SIGTERM)
    *_, last = chunks

    assert last.usage is not None
    assert server.process.wait(timeout=30) == 0
    (event,) = server.logs.events
    assert event["status"] == "success"
    assert event["gen_ai"]["usage"]["output_tokens"] == last.usage.completion_tokens


def test_sigterm_stops_a_request_that_takes_too_long_with_an_event(start_server: StartServer) -> None:
    server = start_server(shutdown_timeout_seconds=0)
    chunks = server.build_client().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Tell a story."}], max_tokens=1024, stream=True
    )
    next(iter(chunks))

    assert server.terminate() == 0
    (event,) = server.logs.events
    assert event["status"] in ("cancelled", "error")


def test_ready_file_is_removed_at_the_end(start_server: StartServer) -> None:
    server = start_server(backend="simulated")
    ready_file = server.home / "ready.json"
    assert json.loads(ready_file.read_text()) == {"url": server.url, "pid": server.process.pid}

    assert server.terminate() == 0
    assert not ready_file.exists()


def test_versions_get_exactly_their_shares(simulated_server: RunningServer) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: simulated_server.ask(), range(40)))

    assert Counter(answer.json()["model"] for answer in answers) == {f"{MODEL}:v1": 30, f"{MODEL}:v2": 10}
    events = [simulated_server.wait_for_event(answer.headers["x-request-id"]) for answer in answers]
    assert Counter(event["model_version"] for event in events) == {"v1": 30, "v2": 10}


def test_versions_with_their_own_weights_are_loaded_and_answer(start_server: StartServer, tmp_path: Path) -> None:
    other_weights = tmp_path / "other.gguf"
    other_weights.symlink_to(find_weights(None))
    server = start_server(versions=[{"name": "v1"}, {"name": "v2", "weights": str(other_weights)}])

    for version in ("v1", "v2"):
        answer = server.ask(model=f"{MODEL}:{version}", max_tokens=3)
        assert answer.json()["choices"][0]["message"]["content"]
        assert server.wait_for_event(answer.headers["x-request-id"])["model_version"] == version


def test_response_does_not_wait_for_the_acknowledgement_of_the_client() -> None:
    """Without TCP_NODELAY each response on an open connection takes 40 ms longer."""
    with _open_listener("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_each_worker_writes_its_own_files(start_server: StartServer) -> None:
    server = start_server(backend="simulated", workers=2)

    def instances() -> set[str]:
        server.ask()  # on a new connection, which either worker accepts
        return {event["service"]["instance"]["id"] for event in server.logs.events}

    wait_until(lambda: len(instances()) == 2, timeout_seconds=30, what="an event of both workers")
    assert len(list(server.logs.directory.glob("events-*.jsonl"))) == 2
    assert server.terminate() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_invalid_weights_are_reported_in_one_sentence(tmp_path: Path, workers: str) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    versions = json.dumps([{"name": "v1", "weights": str(broken)}])

    code, stderr = start_and_fail(tmp_path, "--versions", versions, "--workers", workers)

    assert code == 1
    assert f"weights {broken}: llama.cpp could not load them" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["--port=abc"], {}, "setting port is 'abc': Input should be a valid integer"),
        ([], {"INFERLOG_SERVER_DEADLINE_SECONDS": "0"}, "setting deadline_seconds is '0'"),
        (["--backend=upstream"], {}, "expected upstream_url, the base URL of the upstream server"),
        (["--upstream-url=ftp://secret@host"], {}, "setting upstream_url is not valid: expected http://host:port"),
        ([], {"INFERLOG_SERVER_UPSTREAM_URL": "http://host:secret"}, "setting upstream_url is not valid"),
        (["--upstream-url=http://user:secret@host"], {}, "expected no user or password in the URL"),
        (["--upstream-url=http://host/v1?key=secret"], {}, "expected no query"),
        (["--upstream-api-key=secret", "--upstream-api-key-file=key"], {}, "expected one of them"),
        (["--versions=[{"], {}, "expected JSON"),
        ([], {"INFERLOG_SERVER_VERSIONS": "[{"}, "expected JSON"),
        (['--versions=[{"name": "v1", "typo": 1}]'], {}, "setting versions[0].typo is 1"),
        (['--versions=[{"name": "v1"}, {"name": "v1"}]'], {}, "expected unique names"),
        (['--versions=[{"name": "v1", "share": 0}]'], {}, "expected at least one share above 0"),
        (['--versions=[{"name": "v1", "max_tokens": 9999}]'], {}, "expected at most max_tokens_limit, 1024"),
    ],
)
def test_wrong_setting_is_reported_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    environment: dict[str, str],
    sentence: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert main(arguments) == 2
    stderr = capsys.readouterr().err
    assert sentence in stderr
    assert stderr.startswith("inferlog_server: ")
    assert stderr.count("\n") == 1
    assert "secret" not in stderr


def test_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERLOG_SERVER_PORT", "1")
    monkeypatch.setenv("INFERLOG_SERVER_WORKERS", "3")

    settings = read_settings(["--port=2"])

    assert (settings.port, settings.workers) == (2, 3)


@pytest.mark.parametrize(
    ("base", "posted_to"),
    [
        ("http://127.0.0.1:8001", "http://127.0.0.1:8001/v1/chat/completions"),
        ("http://127.0.0.1:8001/", "http://127.0.0.1:8001/v1/chat/completions"),
        ("https://api.example.com/v1/", "https://api.example.com/v1/chat/completions"),
        ("http://[::1]:80/openai/deployment", "http://[::1]:80/openai/deployment/chat/completions"),
    ],
)
def test_upstream_url_is_built_from_the_base_url(base: str, posted_to: str) -> None:
    assert read_settings([f"--upstream-url={base}"]).upstream_url == posted_to


@pytest.fixture
def restore_process() -> Iterator[None]:
    """Restore the signal handlers and the logging of the process after the test."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    inferlog.shutdown()


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (['--versions=[{"name": "v1", "weights": "no.gguf"}]'], {}, "weights no.gguf: No such file or directory"),
        (["--ready-file=nowhere/ready.json"], {}, "cannot be written"),
        (["--host=host.invalid"], {}, "cannot listen on host.invalid port 0"),
        ([], {"INFERLOG_LOG_LEVEL": "loud"}, "expected one of debug, info"),
        (["--backend=upstream", "--upstream-api-key-file=no.key"], {}, "no.key: No such file or directory"),
        (["--backend=upstream"], {"INFERLOG_SERVER_UPSTREAM_API_KEY": "secret secret"}, "expected one key"),
        (["--backend=upstream"], {"INFERLOG_SERVER_UPSTREAM_API_KEY": " "}, "expected one key"),
    ],
)
@pytest.mark.usefixtures("restore_process")
def test_start_error_is_reported_in_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    environment: dict[str, str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert main(["--port=0", "--upstream-url=http://127.0.0.1:1", *arguments]) == 1
    stderr = capsys.readouterr().err
    assert sentence in stderr
    assert stderr.startswith("inferlog_server: ")
    assert stderr.count("\n") == 1
    assert "secret" not in stderr


def test_port_in_use_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, stderr = start_and_fail(tmp_path, f"--port={port}")

    assert code == 1
    assert stderr == (
        f"inferlog_server: cannot listen on 127.0.0.1 port {port}: Address already in use; "
        "choose another port with --port, or 0 for any free one\n"
    )


def test_model_is_reachable_only_through_the_port_of_the_service(llama_server: RunningServer) -> None:
    """The bindings have an HTTP server of their own, which would answer without an event."""
    connections = psutil.Process(llama_server.pid).net_connections("tcp")
    listening = [connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN]

    assert listening == [int(llama_server.url.rpartition(":")[2])]


def test_missing_extra_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "pydantic_settings.py").write_text("raise ModuleNotFoundError(name='pydantic_settings')")
    ran = subprocess.run(
        [sys.executable, "-m", "inferlog_server"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr == (
        "inferlog_server: the package pydantic_settings is not installed; it belongs to the extra: inferlog[server]\n"
    )
