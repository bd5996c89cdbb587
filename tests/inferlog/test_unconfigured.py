"""Without ``configure()`` the service runs as without the library, and its lines go to stderr."""

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import structlog

import inferlog
import inferlog.logger
from inferlog.testing import recording
from tests.support.logfiles import Logs

WARNING = (
    'inferlog is not configured; events and log lines go to stderr. Call inferlog.configure(service_name="…") '
    "once at start, or set INFERLOG_SERVICE_NAME."
)

LESSON = """
import inferlog

logger = inferlog.get_logger()


def log_inference_event(request_id, model_version, latency, status_code):
    logger.info(
        "inference_completed",
        request_id=request_id,
        model_version=model_version,
        latency_seconds=latency,
        status=status_code,
    )


@inferlog.track_performance
def run_model_inference(input_data):
    return input_data * 2


log_inference_event("req-1", "v1", 0.125, 200)
print("result:", run_model_inference(21))
"""

POOL = """
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import inferlog

log = inferlog.get_logger("batch")


@inferlog.track_performance(model_version="v3")
def judge(text):
    log.info("judging", words=len(text.split()))
    return "good" if "good" in text else "bad"


if __name__ == "__main__":
    inferlog.configure(service_name="batch", log_dir=sys.argv[2])
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(sys.argv[1])) as pool:
        print(*pool.map(judge, ["a good book", "dull", "good"]))
"""


@pytest.fixture
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inferlog.configuration._runtime", None)


def run(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, script, *arguments],
        cwd=script.parent,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )


def parse_documents(stderr: str) -> list[dict[str, Any]]:
    """Return the lines, each parsed as JSON."""
    return [json.loads(line) for line in stderr.splitlines()]


def test_lesson_code_runs_and_writes_events_to_stderr(tmp_path: Path) -> None:
    script = tmp_path / "lesson.py"
    script.write_text(LESSON)
    ended = run(script)
    assert ended.stdout == "result: 42\n"
    warning, stated, tracked = parse_documents(ended.stderr)
    assert (warning["message"], warning["log"]["level"]) == (WARNING, "warning")
    assert (stated["event"]["action"], stated["request_id"], stated["latency_seconds"]) == (
        "inference_completed",
        "req-1",
        0.125,
    )
    assert tracked["gen_ai"]["operation"]["name"] == "run_model_inference"
    assert [path.name for path in tmp_path.iterdir()] == ["lesson.py"], "no file is written"


def test_settings_in_environment_are_configuration(tmp_path: Path) -> None:
    script = tmp_path / "lesson.py"
    script.write_text(LESSON)
    ended = run(script, INFERLOG_SERVICE_NAME="lesson", INFERLOG_LOG_DIR=str(tmp_path / "logs"))
    assert (ended.stdout, ended.stderr) == ("result: 42\n", "")
    assert [event["service"]["name"] for event in Logs(tmp_path / "logs").events] == ["lesson", "lesson"]


def test_invalid_settings_of_environment_are_logged_once(tmp_path: Path) -> None:
    script = tmp_path / "lesson.py"
    script.write_text(LESSON)
    ended = run(script, INFERLOG_LOG_LEVEL="loud")
    assert ended.stdout == "result: 42\n"
    warning, *events = parse_documents(ended.stderr)
    assert "log_level is 'loud'; expected one of debug" in warning["message"]
    assert len(events) == 2


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_every_start_method_return_their_results(tmp_path: Path, method: str) -> None:
    script = tmp_path / "batch.py"
    script.write_text(POOL)
    ended = run(script, method, str(tmp_path / "logs"))
    assert ended.stdout == "good bad good\n"
    written = Logs(tmp_path / "logs").events if method == "fork" else parse_documents(ended.stderr)[1:]
    assert len([line for line in written if line["event"]["dataset"] == "inference.events"]) == 3


def test_spawned_child_is_configured_by_environment(tmp_path: Path) -> None:
    script = tmp_path / "batch.py"
    script.write_text(POOL)
    ended = run(script, "spawn", str(tmp_path / "logs"), INFERLOG_LOG_DIR=str(tmp_path / "logs"))
    assert (ended.stdout, ended.stderr) == ("good bad good\n", "")
    assert len(Logs(tmp_path / "logs").events) == 3


def test_import_does_not_change_host_logging(tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(
        "import logging, structlog\n"
        "root = logging.getLogger()\n"
        "before = (root.level, list(root.handlers))\n"
        "import inferlog\n"
        "inferlog.get_logger().info('a line')\n"
        "print((root.level, list(root.handlers)) == before, structlog.is_configured())\n"
    )
    assert run(script).stdout == "True False\n"


def test_nothing_raises_before_configure(unconfigured: None, capsys: pytest.CaptureFixture[str]) -> None:
    inferlog.capture_content(input="question")
    inferlog.bind_inference(model_version="v1")
    inferlog.record_inference(model_version="v1", latency_seconds=0.5)
    assert inferlog.outgoing_headers() == {}
    inferlog.shutdown()
    inferlog.get_logger().info("after the shutdown")
    lines = parse_documents(capsys.readouterr().err)
    messages = [line["message"] for line in lines if "message" in line]
    assert messages[0] == WARNING
    assert messages[-1] == "after the shutdown"
    assert [line["latency_seconds"] for line in lines if "latency_seconds" in line] == [0.5]


def test_exception_propagates_before_configure(unconfigured: None, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError, match="gone"), inferlog.track_performance("predict"):
        raise KeyError("gone")
    warning, event = parse_documents(capsys.readouterr().err)
    assert warning["message"] == WARNING
    assert event["error"]["type"] == "KeyError"


def test_many_threads_log_one_warning(unconfigured: None, capsys: pytest.CaptureFixture[str]) -> None:
    together = threading.Barrier(8)

    def first_line() -> None:
        together.wait(10)
        inferlog.get_logger().info("first")

    threads = [threading.Thread(target=first_line) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    messages = [line["message"] for line in parse_documents(capsys.readouterr().err)]
    assert sorted(messages) == ["first"] * 8 + [WARNING]


@pytest.mark.parametrize("gone", [None, "closed"])
def test_missing_stderr_breaks_nothing(unconfigured: None, monkeypatch: pytest.MonkeyPatch, gone: Any) -> None:
    monkeypatch.setattr(sys, "stderr", gone)  # a service without a console has None
    with inferlog.track_performance("predict"):
        inferlog.get_logger().info("nobody reads this")


def test_configure_after_first_line_replaces_default(
    unconfigured: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = inferlog.get_logger()
    log.info("early")
    inferlog.configure(service_name="scoring", log_dir=tmp_path)
    log.info("late")
    inferlog.shutdown()
    assert [line["message"] for line in parse_documents(capsys.readouterr().err)] == [WARNING, "early"]
    assert [line["message"] for line in Logs(tmp_path).read_lines("app")] == ["late"]


def test_fork_before_configure_works(tmp_path: Path) -> None:
    script = tmp_path / "fork.py"
    script.write_text(
        "import inferlog, os\n"
        "inferlog.get_logger().info('in the parent')\n"
        "child = os.fork()\n"
        "inferlog.get_logger().info('in the child' if child == 0 else 'in the parent')\n"
        "if child == 0: os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    lines = parse_documents(run(script).stderr)
    assert sorted(line["message"] for line in lines if line["message"] != WARNING) == [
        "in the child",
        *["in the parent"] * 2,
    ]
    assert len({line["service"]["instance"]["id"] for line in lines}) == 2


def test_recording_restores_host_logging(unconfigured: None) -> None:
    root = logging.getLogger()
    inferlog.logger.uninstall()
    root.setLevel(logging.ERROR)
    try:
        with recording():
            assert root.level == logging.INFO
        assert root.level == logging.ERROR
        assert not structlog.is_configured()
    finally:
        root.setLevel(logging.WARNING)
