"""drain.rb by the local Ruby, on real files: a pod's Fluentd ends when no line is left."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fluentd.image_programs import FOLDER, build_ruby_command
from tests.support.polling import wait_until

LINES = b'{"event":{"id":"1"}}\n{"event":{"id":"2"}}\n'


class Volumes:
    """The two volumes of a pod: log files with Fluentd's positions, and its buffer."""

    def __init__(self, folder: Path) -> None:
        self.logs, self.state = folder / "logs", folder / "state"
        (self.logs / ".shipped").mkdir(parents=True)
        (self.state / "buffer/store").mkdir(parents=True)

    def write(self, content: bytes, name: str = "events-1.jsonl") -> Path:
        path = self.logs / name
        path.write_bytes(content)
        return path

    def read_up_to(self, path: Path, offset: int, stream: str = "events") -> None:
        """Write the position as Fluentd does."""
        text = f"{path}\t{offset:016x}\t{path.stat().st_ino:016x}\n"
        (self.logs / f".shipped/fluentd-{stream}.pos").write_text(text)


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(tmp_path)


@pytest.fixture
def fluentd() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that only lives."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def start(volumes: Volumes, fluentd: int, seconds: float) -> "subprocess.Popen[str]":
    environment = os.environ | {
        "INFERLOG_LOG_DIR": str(volumes.logs),
        "INFERLOG_FLUENTD_STATE": str(volumes.state),
        "INFERLOG_FLUENTD_DRAIN_SECONDS": str(seconds),
    }
    command = [*build_ruby_command("drain.rb"), str(fluentd)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def finish(draining: "subprocess.Popen[str]") -> dict[str, Any]:
    output, _ = draining.communicate(timeout=60)
    answer: dict[str, Any] = json.loads(output)
    assert draining.returncode == (0 if answer["message"].startswith("drained") else 1)
    return answer


def test_ends_when_everything_is_read_and_sent(volumes: Volumes, fluentd: "subprocess.Popen[bytes]") -> None:
    volumes.read_up_to(volumes.write(LINES), len(LINES))
    assert finish(start(volumes, fluentd.pid, 60))["message"] == "drained"


def test_waits_for_unread_lines_then_for_their_chunk(volumes: Volumes, fluentd: "subprocess.Popen[bytes]") -> None:
    path = volumes.write(LINES)
    draining = start(volumes, fluentd.pid, 60)
    with pytest.raises(subprocess.TimeoutExpired):
        draining.wait(1)
    chunk = volumes.state / "buffer/store/buffer.b1.log"
    chunk.write_bytes(LINES)
    volumes.read_up_to(path, len(LINES))
    with pytest.raises(subprocess.TimeoutExpired):
        draining.wait(1)
    chunk.unlink()
    assert finish(draining)["message"] == "drained"


@pytest.mark.parametrize("stream", ["events", "app", "health", "content"])
def test_reports_remaining_lines_at_its_limit(
    volumes: Volumes, fluentd: "subprocess.Popen[bytes]", stream: str
) -> None:
    volumes.write(LINES, f"{stream}-1.jsonl")
    (volumes.state / "buffer/store/buffer.b1.log").write_bytes(LINES)
    answer = finish(start(volumes, fluentd.pid, 0.3))
    assert answer["level"] == "error"
    assert (answer["unread_files"], answer["unsent_chunks"], answer["unsent_bytes"]) == (1, 1, len(LINES))


def test_incomplete_last_line_of_a_killed_service_does_not_count(
    volumes: Volumes, fluentd: "subprocess.Popen[bytes]"
) -> None:
    volumes.read_up_to(volumes.write(LINES + b'{"event":'), len(LINES))
    assert finish(start(volumes, fluentd.pid, 60))["message"] == "drained"


def test_inode_of_a_deleted_file_belongs_to_a_new_one(volumes: Volumes, fluentd: "subprocess.Popen[bytes]") -> None:
    """Fluentd keeps the line of a deleted file for an hour; the inode is used again."""
    volumes.read_up_to(volumes.write(LINES, "app-1.jsonl"), 2**64 - 1)
    volumes.read_up_to(volumes.logs / "app-1.jsonl", len(LINES), "app")
    assert finish(start(volumes, fluentd.pid, 60))["message"] == "drained"


def test_position_that_is_being_written_counts_as_none(volumes: Volumes, fluentd: "subprocess.Popen[bytes]") -> None:
    path = volumes.write(LINES)
    (volumes.logs / ".shipped/fluentd-events.pos").write_text(f"{path}\t000000000000")
    assert finish(start(volumes, fluentd.pid, 0.3))["unread_files"] == 1


def test_dead_letters_are_reported(volumes: Volumes, fluentd: "subprocess.Popen[bytes]") -> None:
    (volumes.state / "dead_letters").mkdir()
    (volumes.state / "dead_letters/inferlog.events.20261130.log").write_bytes(LINES)
    answer = finish(start(volumes, fluentd.pid, 60))
    assert (answer["level"], answer["dead_letter_bytes"]) == ("error", len(LINES))
    assert answer["message"] == "drained; dead letters are lost with them"


@pytest.mark.parametrize("text", ["200s", "1.5", "soon"])
def test_container_does_not_start_with_another_duration(text: str) -> None:
    environment = os.environ | {"INFERLOG_FLUENTD_DRAIN_SECONDS": text}
    done = subprocess.run(
        ["sh", str(FOLDER / "start.sh"), "fluentd"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"INFERLOG_FLUENTD_DRAIN_SECONDS is '{text}'; expected a whole number of seconds, such as 200\n"
    )


def test_ends_with_fluentd(volumes: Volumes, fluentd: "subprocess.Popen[bytes]") -> None:
    volumes.write(LINES)
    draining = start(volumes, fluentd.pid, 60)
    fluentd.kill()
    fluentd.wait()
    wait_until(lambda: draining.poll() is not None, 30, "the end")
    assert finish(draining)["unread_files"] == 1
