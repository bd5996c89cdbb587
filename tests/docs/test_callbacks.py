"""The examples for programs that measure inferences themselves, run with those programs."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.logfiles import Logs
from tests.support.polling import wait_until

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "infra" / "python" / "requirements-callbacks.lock"

EVERY_ENDING = """
import asyncio
import litellm
import litellm_callback

litellm.suppress_debug_info = True
about = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "a good book"}]}


async def main():
    await litellm.acompletion(**about, mock_response="good")
    async for _ in await litellm.acompletion(**about, mock_response="good it is", stream=True):
        pass
    try:
        await litellm.acompletion(**about, mock_response=Exception("boom"))
    except litellm.InternalServerError:
        print("raised")


litellm_callback.main()
for _ in litellm.completion(**about, mock_response="good it is", stream=True):
    pass
try:
    litellm.completion(**about, mock_response="litellm.RateLimitError")
except litellm.RateLimitError:
    print("limited")
asyncio.run(main())
"""

SEND_TASKS = """
import celery_worker

for text in ("a good book", "a bad book", None):
    print(celery_worker.judge.delay(text).id)
celery_worker.collect.delay([
    {"version": "v3", "started": 1795414500.5, "seconds": 2.5, "tokens": 40},
    {"version": "v2", "started": 1795414500.5, "seconds": 0.5, "error": "too slow"},
])
"""


@pytest.fixture(scope="session")
def python() -> Path:
    """Python of an environment with LiteLLM and Celery, which is made once for each lock file."""
    kept = Path(sys.prefix) / f"callbacks-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if not kept.exists():
        made = Path(tempfile.mkdtemp(dir=sys.prefix, prefix="callbacks-"))
        install: list[str | Path] = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-compile",  # of two thousand modules, of which a few are imported
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
            "-r",
            LOCK,
        ]
        try:
            subprocess.run([sys.executable, "-m", "venv", made], check=True, capture_output=True)
            subprocess.run([made / "bin" / "python", *install], check=True, capture_output=True, timeout=250)
            made.rename(kept)
        except (subprocess.SubprocessError, OSError) as error:
            shutil.rmtree(made, ignore_errors=True)
            if not kept.exists():  # another process of the run may have been quicker
                pytest.skip(f"LiteLLM and Celery cannot be installed from {LOCK.name}: {error}")
    return kept / "bin" / "python"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "app", ROOT / "docs" / "examples"))),
        "INFERLOG_LOG_DIR": str(tmp_path / "logs"),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it would fetch its prices from the network
        "CELERY_BROKER_URL": "filesystem://",
        "C_FORCE_ROOT": "true",
    }


def test_litellm_calls_are_events_however_they_end(python: Path, environment: dict[str, str], tmp_path: Path) -> None:
    ended = subprocess.run(
        [python, "-c", EVERY_ENDING], env=environment, capture_output=True, text=True, check=True, timeout=200
    )
    assert ended.stdout == "yes\nlimited\nraised\n"
    events = {
        (event["gen_ai"]["operation"]["name"], event["status"], "time_to_first_token_seconds" in event): event
        for event in Logs(tmp_path / "logs").events
    }
    assert events.keys() == {
        (name, *ending)
        for name, failed in (("completion", "rejected"), ("acompletion", "error"))
        for ending in (("success", False), ("success", True), (failed, False))
    }
    for event in events.values():
        assert event["event"]["start"] <= event["@timestamp"]
        assert (event["model_version"], event["labels"]) == ("gpt-4o-mini", {"provider": "openai"})
        assert event["latency_seconds"] > 0
    for name in ("completion", "acompletion"):
        assert events[name, "success", True]["gen_ai"]["usage"]["output_tokens"] == 3
        assert events[name, "success", True]["cost_usd"] > 0
    limited = events["completion", "rejected", False]
    assert (limited["http"]["response"]["status_code"], limited["error"]["type"]) == (
        429,
        "litellm.exceptions.RateLimitError",
    )


@contextmanager
def run_worker(python: Path, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """Run a Celery worker with a pool of two processes, and files in place of a broker."""
    (folder / "data_in").mkdir()
    (folder / "data_out").symlink_to("data_in")
    command: list[str | Path] = [
        python,
        "-m",
        "celery",
        "-A",
        "celery_worker",
        "worker",
        "--concurrency=2",
        "--without-mingle",
    ]
    with (folder / "worker.log").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def test_celery_tasks_and_collected_results_are_events(
    python: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    logs = Logs(tmp_path / "logs")
    with run_worker(python, environment, tmp_path):
        sent = subprocess.run(
            [python, "-c", SEND_TASKS], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        wait_until(lambda: len(logs.events) == 5, what="five events")
    events = {event["correlation_id"]: event for event in logs.events}
    tasks = [events[task] for task in sent.stdout.split()[:2]]
    assert {event["status"] for event in tasks} == {"success"}
    assert {event["gen_ai"]["usage"]["input_tokens"] for event in tasks} == {3}
    failed, measured = (
        [event for event in events.values() if event["status"] == "error" and ("start" in event["event"]) is elsewhere]
        for elsewhere in (False, True)
    )
    assert [event["error"]["type"] for event in failed] == ["AttributeError"]
    assert [(event["model_version"], event["latency_seconds"]) for event in measured] == [("v2", 0.5)]
    judged = [line for line in logs.read_lines("app") if line["message"] == "sentiment.judged"]
    assert {line["correlation_id"] for line in judged} == set(sent.stdout.split()[:2])
    goodbyes = [line for line in logs.read_lines("health") if line["message"] == "service_stopped"]
    assert {line["service"]["instance"]["id"] for line in goodbyes} >= {
        event["service"]["instance"]["id"] for event in events.values()
    }
    assert json.dumps(events).count("2026-11-23T06:15:00.500000Z") == 2
