"""Text of documents, files and stores on a terminal: control characters are escaped, and a line stays one line."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.console import PlainConsole, print_json
from inferlog_ops.ship.status import Display
from tests.support.indexing import create_fresh_cluster, index
from tests.support.shipping import write_events

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\x00\u2028\u202e\x7f[red]x[/red][/]\\"
CORRELATION_ID = "hostile-chain"
_OURS = re.compile(rb"\x1b\[[0-9;]*m|\r\n")
_MEANT = re.compile(r"[^\n -~\u00a0-\u200a\u2010-\u2027\u2030-\u205f\u2070-\uffff\U00010000-\U0010ffff]")


@pytest.fixture(scope="module")
def cluster(engine_url: str) -> Cluster:
    cluster = create_fresh_cluster(engine_url)
    index(cluster, "events", [build_document("events") | {"latency_seconds": 1.0}])
    index(cluster, "app", [build_document("app") | {"message": HOSTILE, "log": {"level": HOSTILE}}])
    return cluster


def build_document(stream: str) -> dict[str, Any]:
    moment = datetime.now(UTC) - timedelta(seconds=30)
    return {
        "@timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "event": {"id": uuid4().hex, "dataset": f"inference.{stream}", "sequence": 1},
        "service": {"name": HOSTILE, "instance": {"id": HOSTILE}},
        "status": "error",
        "request_id": HOSTILE,
        "correlation_id": CORRELATION_ID,
        "model_version": HOSTILE,
        "http": {"route": HOSTILE},
        "error": {"type": HOSTILE, "message": HOSTILE},
        "labels": {"tenant": HOSTILE},
    }


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    event = build_document("events") | {"audit": {"prev": "0" * 32, "hash": "1" * 32}}
    (tmp_path / "logs" / "events-a-1-1.jsonl").write_text(json.dumps(event) + "\n")
    (tmp_path / "logs" / HOSTILE.replace("/", "").replace("\x00", "")).write_text("")
    letters = {"time": "", "stream": HOSTILE, "file": HOSTILE, "offset": 0, "reason": HOSTILE, "line": HOSTILE}
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "dead_letters.jsonl").write_text(json.dumps(letters) + "\n")
    return tmp_path


def run_on_a_terminal(*arguments: object) -> tuple[int, bytes]:
    """Run ``inferlog`` with *arguments* on a pseudo-terminal; return its exit code and output."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "inferlog_ops.cli.main", *map(str, arguments)]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "400"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the terminal closes with its writer
            while piece := os.read(ours, 65_536):
                shown += piece
        os.close(ours)
        return process.wait(60), shown


def check(shown: bytes) -> str:
    plain = _OURS.sub(lambda match: b"\n" if match[0] == b"\r\n" else b"", shown).decode()
    assert not _MEANT.search(plain), shown
    return plain


QUESTIONS = [
    ("query", "recent_errors", "--last", "1h"),
    ("query", "p99_latency", "--last", "1h"),
    ("query", "recent_errors", "--last", "1h", "--csv"),
    ("query", "recent_errors", "--last", "1h", "--json"),
    ("trace", CORRELATION_ID, "--lines"),
    ("trace", CORRELATION_ID, "--lines", "--json"),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=" ".join)
def test_answer_shows_document_text_as_plain_text(cluster: Cluster, question: tuple[str, ...]) -> None:
    code, shown = run_on_a_terminal(*question, "--url", cluster.url, "--namespace", cluster.namespace)
    plain = check(shown)
    assert code == 0, plain
    assert "owned" in plain
    if "--json" in question:
        assert HOSTILE in _find_texts(json.loads(plain))


def _find_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _find_texts(each)


COMMANDS = {
    "audit verify": ("audit", "verify", "--files", "logs"),
    "redrive --list": ("redrive", "--list", "--from", "state"),
    "a name that is none": ("query", HOSTILE.replace("\x00", "")),
    "a chain that is none": ("trace", HOSTILE.replace("\x00", ""), "--url", "http://127.0.0.1:1"),
    "a place that is none": ("ship", "--once", "--from", HOSTILE.replace("\x00", ""), "--to", "http://127.0.0.1:1"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_file_names_are_shown_as_plain_text(files: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    code, shown = run_on_a_terminal(*COMMANDS[command])
    plain = check(shown)
    assert "owned" in plain
    assert "Traceback" not in plain
    assert code in {0, 1, 2}


def test_status_line_shows_file_names_as_plain_text(files: Path, cluster: Cluster) -> None:
    write_events(files / "logs" / "events-a-2-1.jsonl", ["a"])
    place = ("--from", files / "logs", "--state", files / "new", "--heartbeat", 0)
    _, shown = run_on_a_terminal("ship", "--once", *place, "--to", cluster.url, "--namespace", cluster.namespace)
    plain = check(shown.replace(b"\r\x1b[2K", b"\n"))  # redraws the line
    assert "left alone" in plain


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_status_line_stays_one_line_for_any_error_of_the_store() -> None:
    terminal = Terminal()
    display = Display(terminal)
    display.show(f"waits: {HOSTILE}")
    display.log(HOSTILE)
    shown = terminal.getvalue().replace("\r\x1b[2K", "")
    assert not _MEANT.search(shown)
    assert shown.count("\n") == 1


def test_unescaped_text_does_not_control_the_terminal() -> None:
    terminal = Terminal()
    PlainConsole(file=terminal, width=1_000).print(HOSTILE.replace("[", "("))
    assert not _MEANT.search(re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()))


def test_json_output_is_unchanged(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print_json({"text": HOSTILE})
    written = capfdbinary.readouterr().out
    assert json.loads(written) == {"text": HOSTILE}
    assert not _MEANT.search(written.decode())
