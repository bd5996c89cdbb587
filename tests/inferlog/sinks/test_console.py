"""Events and lines at the developer's terminal."""

import io
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import inferlog
from inferlog.configuration import get_runtime
from inferlog.recorder import Sink
from inferlog.sinks.console import ConsoleSink
from inferlog.sinks.fan_out import FanOut
from tests.support.logfiles import Logs

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\x00\u2028\u202e\x7f"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    # pytest itself puts another one into the place of sys.stderr, between this and the test.
    monkeypatch.setattr("inferlog.sinks.console.sys", SimpleNamespace(stderr=terminal))
    return terminal


@pytest.fixture(autouse=True)
def _shut_down() -> Iterator[None]:
    yield
    inferlog.configure(sinks="none")  # later tests in this process have nothing of it on their standard error


def configure(directory: Path, **settings: Any) -> Logs:
    inferlog.configure(service_name="scoring", log_dir=directory, heartbeat_seconds=0, **settings)
    return Logs(directory)


def write() -> None:
    inferlog.get_logger("app").info("loaded", seconds=1.2, path="a b")
    with inferlog.track_performance(
        "ask", model_version="v1", input_tokens=12, output_tokens=40, time_to_first_token_seconds=0.05, tenant="acme"
    ):
        pass


def remove_times(text: str) -> list[str]:
    return [line.partition(" ")[2] for line in text.splitlines()]


def test_event_and_line_are_shown_short(tmp_path: Path, terminal: Terminal) -> None:
    logs = configure(tmp_path)
    write()
    request = logs.event["request_id"][-8:]
    milliseconds = round(logs.event["latency_seconds"] * 1000, 1)
    line, event = remove_times(terminal.getvalue())
    assert line == "[info     ] loaded [app] seconds=1.2 path='a b'"
    assert event == (
        f"[info     ] inference_completed version=v1 status=success latency_ms={milliseconds} first_token_ms=50.0 "
        f"tokens_in=12 tokens_out=40 tenant=acme request={request}"
    )
    assert [line["message"] for line in logs.read_lines("app")] == ["loaded"]


@pytest.mark.parametrize(
    "settings",
    [{"environment": "production"}, {"environment": "staging"}, {"console": "never"}, {"sinks": "file,stdout"}],
)
def test_console_shows_nothing_and_adds_no_sink_when_off(
    tmp_path: Path, terminal: Terminal, settings: dict[str, str]
) -> None:
    configure(tmp_path, **settings)
    write()
    assert terminal.getvalue() == ""
    if "sinks" not in settings:
        assert not isinstance(get_runtime().events._sink, FanOut)


def test_console_shows_nothing_without_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    configure(tmp_path)
    write()
    assert stderr.getvalue() == ""


@pytest.mark.parametrize("gone", [None, "closed"])
def test_removed_standard_error_is_not_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str | None
) -> None:
    stream = None
    if gone:
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    logs = configure(tmp_path)
    write()
    assert len(logs.events) == 1


def test_always_shows_lines_without_terminal_and_without_colors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    configure(tmp_path, console="always", environment="staging")
    write()
    assert "inference_completed version=v1" in stderr.getvalue()


def test_colors_are_for_terminal(tmp_path: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    configure(tmp_path)
    write()
    assert "\x1b[" in terminal.getvalue()


def test_value_does_not_command_terminal(tmp_path: Path, terminal: Terminal) -> None:
    configure(tmp_path)
    labels: dict[str, Any] = {HOSTILE: HOSTILE}
    try:
        with inferlog.track_performance("ask", model_version=HOSTILE, **labels):
            raise ValueError(HOSTILE)
    except ValueError:
        inferlog.get_logger(HOSTILE).exception(HOSTILE, **{HOSTILE: HOSTILE, "level_": {"a": HOSTILE}})
    shown = terminal.getvalue()
    assert all(line.isprintable() for line in shown.split("\n")), shown
    assert shown.count("Traceback") == 1  # the event has one line


def test_label_named_like_part_of_line_does_not_replace_it(tmp_path: Path, terminal: Terminal) -> None:
    configure(tmp_path)
    labels: dict[str, Any] = {"level": "x", "event": "y", "timestamp": "z", "exception": "e", "version": "w"}
    with inferlog.track_performance("ask", model_version="v1", **labels):
        pass
    inferlog.get_logger("app").error("failed", error="no model")
    event, line = remove_times(terminal.getvalue())
    assert event.startswith("[info     ] inference_completed version=v1 ")
    for name, value in labels.items():
        assert f" {name}_={value} " in event
    assert line == "[error    ] failed [app] error='no model'"


def test_line_shown_by_server_is_not_repeated(tmp_path: Path, terminal: Terminal) -> None:
    server = logging.getLogger("uvicorn")
    handler = logging.StreamHandler(io.StringIO())
    configure(tmp_path)
    server.error("shown by us")
    server.addHandler(handler)
    try:
        logging.getLogger("uvicorn.error").error("shown by the server")
    finally:
        server.removeHandler(handler)
    assert [line.split()[3:] for line in terminal.getvalue().splitlines()] == [["shown", "by", "us", "[uvicorn]"]]


@pytest.mark.parametrize("line", [b"", b"not JSON", b"[]", b'{"log": 1}', b'{"status": "unknown"}'])
def test_unprintable_line_is_skipped(terminal: Terminal, line: bytes) -> None:
    assert ConsoleSink().write(line)
    assert terminal.getvalue() == ""


SERVICE = """
import sys, inferlog
inferlog.configure(service_name="scoring", log_dir=sys.argv[1], heartbeat_seconds=0)
for _ in range(2000):
    with inferlog.track_performance("ask", model_version="v1"):
        pass
"""


def test_blocked_terminal_does_not_block_service(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()  # nobody reads it: its buffer is soon full
    try:
        subprocess.run([sys.executable, "-c", SERVICE, tmp_path], stderr=terminal, check=True, timeout=60)
        assert b"inference_completed" in os.read(controller, 4096)
    finally:
        os.close(terminal)
        os.close(controller)
    assert len(Logs(tmp_path).events) == 2000


def test_closed_terminal_does_not_block_service(tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", SERVICE, tmp_path], stderr=terminal)
    os.close(terminal)
    os.close(controller)
    process.wait(60)
    assert len(Logs(tmp_path).events) == 2000


def test_terminal_is_closed_once_by_child_forked_during_close(
    monkeypatch: pytest.MonkeyPatch, close_while_forking: Callable[[Sink], list[int]]
) -> None:
    monkeypatch.setattr("inferlog.sinks.console._open_terminal", lambda: os.open(os.devnull, os.O_WRONLY))
    sink = ConsoleSink()
    assert len(close_while_forking(sink)) == 1
