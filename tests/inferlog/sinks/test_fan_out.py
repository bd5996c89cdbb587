import os
import subprocess
import sys
from pathlib import Path

import pytest

import inferlog
from inferlog.sinks.fan_out import FanOut
from tests.support.logfiles import Logs


class ListSink:
    copies_dropped = 0

    def __init__(self, *, takes: bool = True) -> None:
        self.lines: list[bytes] = []
        self.takes = takes
        self.closed = False

    def write(self, line: bytes) -> bool:
        self.lines.append(line)
        return self.takes

    def close(self) -> None:
        self.closed = True

    detach_after_fork = close


def test_fan_out_writes_to_all_sinks_and_returns_result_of_first() -> None:
    truth, copy = ListSink(takes=False), ListSink()
    assert not FanOut([truth, copy]).write(b"1\n")
    assert truth.lines == copy.lines == [b"1\n"]


def test_line_rejected_by_copy_is_counted() -> None:
    fan_out = FanOut([ListSink(), ListSink(takes=False), ListSink(takes=False)])
    assert fan_out.write(b"1\n")
    assert fan_out.copies_dropped == 2


def test_failing_copy_does_not_affect_first() -> None:
    class Failing(ListSink):
        def write(self, line: bytes) -> bool:
            raise RuntimeError(f"can't start new thread for {line!r}")

    truth = ListSink()
    fan_out = FanOut([truth, Failing()])
    assert fan_out.write(b"1\n")
    assert (truth.lines, fan_out.copies_dropped) == ([b"1\n"], 1)


def test_all_are_closed() -> None:
    sinks = [ListSink(), ListSink()]
    FanOut(sinks).close()
    assert all(sink.closed for sink in sinks)


PRINT_AND_RECORD = """
import inferlog, sys
inferlog.configure(service_name="scoring", log_dir=sys.argv[1], heartbeat_seconds=0)
sys.stdout.write("before ")
with inferlog.track_performance("predict"):
    pass
"""


def test_file_and_stdout_have_same_line(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", PRINT_AND_RECORD, str(tmp_path)],
        env={**os.environ, "INFERLOG_SINKS": "file,stdout"},
        capture_output=True,
        check=True,
    ).stdout
    (path,) = tmp_path.glob("events-*")
    assert printed == b"before " + path.read_bytes()


def test_closed_stdout_does_not_affect_service(tmp_path: Path) -> None:
    script = PRINT_AND_RECORD.replace('sys.stdout.write("before ")', "import os; os.close(1); sys.stdout = None")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "INFERLOG_SINKS": "file,stdout"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(Logs(tmp_path).events) == 1


def test_directory_is_not_needed_without_file_sink(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path / "logs", sinks="stdout", heartbeat_seconds=0)
    with inferlog.track_performance("predict"):
        pass
    inferlog.shutdown()
    assert '"action":"inference_completed"' in capfd.readouterr().out
    assert not (tmp_path / "logs").exists()
