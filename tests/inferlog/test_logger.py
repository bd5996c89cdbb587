import logging
import sys

import pytest
import structlog
from logfiles import Logs

import inferlog


def test_a_line_has_message_level_logger_and_labels(logs: Logs) -> None:
    inferlog.get_logger("scoring.model").info("model.loaded", seconds=1.5, path="/models/x")
    (line,) = logs.lines("app")
    assert line["message"] == "model.loaded"
    assert line["log"] == {"level": "info", "logger": "scoring.model"}
    assert line["labels"] == {"seconds": 1.5, "path": "/models/x"}
    assert line["event"]["dataset"] == "inference.app"
    assert line["service"]["name"] == "scoring"
    assert len(line["event"]["id"]) == 32


def test_a_key_that_collides_with_an_object_of_the_index_goes_to_labels(logs: Logs) -> None:
    inferlog.get_logger().error("inference_failed", error="boom", event_id=7, service="x", http=3)
    (line,) = logs.lines("app")
    assert line["labels"] == {"error": "boom", "event_id": 7, "service": "x", "http": 3}
    assert "error" not in line


def test_ids_and_models_stand_in_their_own_fields_and_nonsense_in_them_stays_a_label(logs: Logs) -> None:
    inferlog.get_logger().info("done", model_version="v1", request_id=7, latency_seconds=0.25)
    (line,) = logs.lines("app")
    assert line["model_version"] == "v1"
    assert line["labels"] == {"request_id": 7, "latency_seconds": 0.25}


def test_an_exception_is_described_and_redacted(logs: Logs) -> None:
    try:
        raise ConnectionError("redis://:hunter2@cache refused")
    except ConnectionError:
        inferlog.get_logger().exception("cache.failed")
    (line,) = logs.lines("app")
    assert line["error"]["type"] == "ConnectionError"
    assert line["error"]["message"] == "redis://:[REDACTED]@cache refused"
    assert "hunter2" not in line["error"]["stack_trace"]


def test_lines_within_an_inference_carry_its_ids(logs: Logs) -> None:
    with inferlog.track_performance("predict", model_version="v3"):
        inferlog.get_logger().info("inside")
    inferlog.get_logger().info("outside")
    inside, outside = logs.lines("app")
    assert inside["request_id"] == logs.event["request_id"]
    assert inside["correlation_id"] == logs.event["correlation_id"]
    assert inside["model_version"] == "v3"
    assert "request_id" not in outside


def test_stdlib_and_structlog_loggers_of_others_write_the_same_lines(logs: Logs) -> None:
    with inferlog.track_performance("predict"):
        logging.getLogger("somelib").warning("took %d s", 3, extra={"attempt": 2})
        structlog.get_logger().info("from structlog")
    stdlib, other = logs.lines("app")
    assert stdlib["message"] == "took 3 s"
    assert stdlib["log"] == {"level": "warning", "logger": "somelib"}
    assert stdlib["labels"] == {"attempt": 2}
    assert stdlib["request_id"] == other["request_id"] == logs.event["request_id"]


def test_lines_below_the_level_are_not_written(logs: Logs) -> None:
    inferlog.configure(service_name="scoring", log_dir=logs.directory, log_level="warning")
    inferlog.get_logger().info("quiet")
    logging.getLogger("somelib").info("quiet")
    inferlog.get_logger().warning("loud")
    assert [line["message"] for line in logs.lines("app")] == ["loud"]


def test_stdlib_can_be_left_alone(logs: Logs) -> None:
    inferlog.configure(service_name="scoring", log_dir=logs.directory, capture_stdlib=False)
    logging.getLogger("somelib").error("not ours")
    assert logs.lines("app") == []


def test_control_characters_and_forged_json_stay_inside_the_text(logs: Logs) -> None:
    forged = 'x\n{"status":"success"}\r\u2028\x00\x1b[31m"},'
    inferlog.get_logger().info(forged, **{'ke"y\n': forged})
    (line,) = logs.lines("app")
    assert line["message"] == forged
    assert line["labels"] == {'ke"y_': forged}


@pytest.mark.parametrize("value", [object(), {1: 2}, b"\xff", 10**30, float("nan"), "\ud800", {"a": "\ud800"}, sys])
def test_no_value_keeps_a_line_from_being_written(logs: Logs, value: object) -> None:
    inferlog.get_logger().info("odd", value=value)
    (line,) = logs.lines("app")
    assert "value" in line["labels"]
