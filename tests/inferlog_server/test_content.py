"""Prompts and responses: in no file by default, and only in the content stream if it is enabled."""

import json
from pathlib import Path

from tests.support.chat_server import MODEL, RunningServer, run_server

PROMPT = "only the customer may know this"
ANSWER = "once there was a model"
VERSIONS = [{"name": "v1", "simulated": {"output_tokens_median": 5, "sigma": 0}}]


def send_all_kinds(server: RunningServer) -> None:
    """Send whole, streamed, rejected and invalid requests, so that a prompt takes every path."""
    for more in ({}, {"stream": True}, {"model": "unknown"}, {"max_tokens": "many"}, {"model": f"{MODEL}:v1"}):
        server.ask(PROMPT, **more)
    server.ask(f"{PROMPT} " * 1_000)
    assert server.terminate() == 0


def find_streams(text: str, home: Path) -> set[str]:
    """Return the streams of the files that contain *text*."""
    return {path.name.split("-")[0] for path in home.rglob("*") if path.is_file() and text in path.read_text()}


def test_prompts_and_responses_are_in_no_file_by_default(tmp_path: Path) -> None:
    loud = {"INFERLOG_LOG_LEVEL": "debug"}
    with run_server(tmp_path / "server", loud, backend="simulated", versions=VERSIONS) as server:
        send_all_kinds(server)

    assert len(server.logs.events) == 6
    assert find_streams(PROMPT, server.home) == find_streams(ANSWER, server.home) == set()


def test_prompts_and_responses_are_in_the_content_stream_only_when_enabled(tmp_path: Path) -> None:
    switch = {"INFERLOG_CAPTURE_CONTENT": "true"}
    with run_server(tmp_path / "server", switch, backend="simulated", versions=VERSIONS) as server:
        send_all_kinds(server)

    assert find_streams(PROMPT, server.home) == find_streams(ANSWER, server.home) == {"content"}
    lines = server.logs.read_lines("content")
    answered = [event for event in server.logs.events if event["status"] == "success"]
    assert [line["request_id"] for line in lines] == [event["request_id"] for event in answered]
    assert len(lines) == 3
    for line in lines:
        assert json.loads(line["gen_ai"]["input"]["text"]) == [{"role": "user", "content": PROMPT}]
        assert line["gen_ai"]["output"]["text"] == ANSWER
        assert line["model_version"] == "v1"
