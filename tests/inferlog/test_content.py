"""Prompts and answers are written after one explicit opt-in, to a stream of their own, and by no other way."""

from pathlib import Path

import pytest

import inferlog
from tests.support.logfiles import Logs

PROMPT, ANSWER = "the prompt of a customer", "the answer to a customer"


def infer() -> None:
    with inferlog.track_performance("chat", model_version="v1"):
        inferlog.capture_content(input=PROMPT, output=f"{ANSWER} Bearer abcdef123456")


def everything_in(directory: Path) -> str:
    return "".join(path.read_text() for path in directory.rglob("*") if path.is_file())


def test_without_the_setting_nothing_is_written(tmp_path: Path) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path, log_level="debug")
    infer()
    inferlog.shutdown()
    assert PROMPT not in everything_in(tmp_path)
    assert ANSWER not in everything_in(tmp_path)


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_with_it_they_stand_in_their_own_stream_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    if by == "environment":
        monkeypatch.setenv("INFERLOG_CAPTURE_CONTENT", "true")
    inferlog.configure(service_name="scoring", log_dir=tmp_path, capture_content=True if by == "argument" else None)
    infer()
    inferlog.shutdown()
    logs = Logs(tmp_path)
    (line,) = logs.lines("content")
    assert line["gen_ai"] == {"input": {"text": PROMPT}, "output": {"text": f"{ANSWER} Bearer [REDACTED]"}}
    assert line["event"]["dataset"] == "inference.content"
    assert line["request_id"] == logs.event["request_id"]
    assert line["model_version"] == "v1"
    others = "".join(path.read_text() for path in tmp_path.glob("*.jsonl") if not path.name.startswith("content-"))
    assert PROMPT not in others
    assert ANSWER not in others


@pytest.mark.parametrize("value", ["false", "0", "no"])
def test_no_other_setting_turns_it_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for name in ("INFERLOG_CAPTURE", "INFERLOG_CONTENT", "INFERLOG_DEBUG", "INFERLOG_LOG_LEVEL"):
        monkeypatch.setenv(name, "debug")
    monkeypatch.setenv("INFERLOG_CAPTURE_CONTENT", value)
    inferlog.configure(service_name="scoring", log_dir=tmp_path)
    infer()
    inferlog.shutdown()
    assert Logs(tmp_path).lines("content") == []


def test_a_long_prompt_is_cut_and_says_so(tmp_path: Path) -> None:
    inferlog.configure(service_name="scoring", log_dir=tmp_path, capture_content=True)
    inferlog.capture_content(input="a" * 40_000)
    inferlog.shutdown()
    (line,) = Logs(tmp_path).lines("content")
    assert line["gen_ai"]["input"]["text"] == "a" * 32_000 + "… [8000 characters cut]"
