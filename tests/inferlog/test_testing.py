import logging
import threading
from pathlib import Path

import pytest
import structlog

import inferlog
from inferlog.testing import Recorded, recording
from tests.support.logfiles import Logs


def infer(version: str = "v1") -> None:
    with inferlog.track_performance("predict", model_version=version):
        inferlog.get_logger().info("in the call")


def test_events_and_lines_are_recorded_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with recording() as recorded:
        infer()
    assert recorded.event["model_version"] == "v1"
    assert [line["message"] for line in recorded.log_lines] == ["in the call"]
    assert list(tmp_path.iterdir()) == []


def test_previous_configuration_is_restored(logs: Logs) -> None:
    with recording(service_name="other") as recorded:
        infer("recorded")
    infer("written")
    assert recorded.event["model_version"] == "recorded"
    assert recorded.event["service"]["name"] == "other"
    assert logs.event["model_version"] == "written"
    assert [line["message"] for line in logs.read_lines("app")] == ["in the call"]


def test_recording_without_configuration_leaves_no_state(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("inferlog.configuration._runtime", None)
    handlers = [handler for handler in logging.getLogger().handlers if type(handler).__module__ != "inferlog.logger"]
    with recording():
        pass
    assert logging.getLogger().handlers == handlers
    assert not structlog.is_configured()
    infer()
    assert "inferlog is not configured" in capsys.readouterr().err


def test_event_property_error_has_number_of_events() -> None:
    with recording() as recorded:
        infer()
        infer()
        with pytest.raises(AssertionError, match="expected one event, found 2"):
            _ = recorded.event
        assert len(recorded.events) == 2


def test_content_is_recorded_when_enabled() -> None:
    with recording(capture_content=True) as recorded:
        inferlog.capture_content(input="question")
    assert recorded.contents[0]["gen_ai"] == {"input": {"text": "question"}}


def test_threads_record_concurrently() -> None:
    def infer_often() -> None:
        for _ in range(50):
            infer()

    with recording() as recorded:
        threads = [threading.Thread(target=infer_often) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [event["event"]["sequence"] for event in recorded.events] == list(range(200))


def test_fixture_records_during_whole_test(inferlog_recorded: Recorded) -> None:
    infer()
    assert inferlog_recorded.event["status"] == "success"
