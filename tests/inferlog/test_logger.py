import asyncio
import logging
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.typing import FilteringBoundLogger

import inferlog
from inferlog.context import warn_once
from inferlog.testing import recording
from tests.support.logfiles import Logs


def test_line_has_message_level_logger_and_labels(logs: Logs) -> None:
    inferlog.get_logger("scoring.model").info("model.loaded", seconds=1.5, path="/models/x")
    (line,) = logs.read_lines("app")
    assert line["message"] == "model.loaded"
    assert line["log"] == {"level": "info", "logger": "scoring.model"}
    assert line["labels"] == {"seconds": 1.5, "path": "/models/x"}
    assert line["event"]["dataset"] == "inference.app"
    assert line["service"]["name"] == "scoring"
    assert len(line["event"]["id"]) == 32


def test_key_colliding_with_index_object_becomes_label(logs: Logs) -> None:
    inferlog.get_logger().error("inference_failed", error="boom", event_id=7, service="x", http=3)
    (line,) = logs.read_lines("app")
    assert line["labels"] == {"error": "boom", "event_id": 7, "service": "x", "http": 3}
    assert "error" not in line


def test_ids_and_models_have_own_fields_and_invalid_ones_become_labels(logs: Logs) -> None:
    inferlog.get_logger().info("done", model_version="v1", request_id=7, latency_seconds=0.25)
    (line,) = logs.read_lines("app")
    assert line["model_version"] == "v1"
    assert line["labels"] == {"request_id": 7, "latency_seconds": 0.25}


def test_exception_is_described_and_redacted(logs: Logs) -> None:
    try:
        raise ConnectionError("redis://:hunter2@cache refused")
    except ConnectionError:
        inferlog.get_logger().exception("cache.failed")
    (line,) = logs.read_lines("app")
    assert line["error"]["type"] == "ConnectionError"
    assert line["error"]["message"] == "redis://:[REDACTED]@cache refused"
    assert "hunter2" not in line["error"]["stack_trace"]


class PayloadError(Exception):
    """Raises for every unknown attribute, also for ``__notes__``, which Python's formatter reads."""

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


def test_exception_whose_attributes_raise_loses_neither_line_nor_event(logs: Logs) -> None:
    with pytest.raises(PayloadError), inferlog.track_performance("predict"):
        raise PayloadError("first")
    try:
        raise PayloadError("second")
    except PayloadError:
        inferlog.get_logger().exception("failed")
    (line,) = logs.read_lines("app")
    for error, message in ((logs.event["error"], "first"), (line["error"], "second")):
        assert (error["type"], error["message"]) == (f"{__name__}.PayloadError", message)
        assert f'raise PayloadError("{message}")' in error["stack_trace"]


@pytest.mark.parametrize("own_level", [logging.DEBUG, logging.NOTSET, logging.ERROR])
def test_own_handlers_get_the_lines_that_they_got_before(tmp_path: Path, own_level: int) -> None:
    root, received = logging.getLogger(), list[str]()
    handler = logging.Handler()
    handler.emit = lambda record: received.append(record.getMessage())  # type: ignore[method-assign]
    before = root.level
    root.addHandler(handler)
    root.setLevel(own_level)
    try:
        inferlog.configure(service_name="scoring", log_dir=tmp_path, heartbeat_seconds=0)
        logging.getLogger("svc").debug("detail")
        logging.getLogger("svc").error("failed")
        inferlog.shutdown()
    finally:
        root.removeHandler(handler)
        inferlog.logger.uninstall()
        root.setLevel(before)
    assert received == (["failed"] if own_level == logging.ERROR else ["detail", "failed"])
    assert [line["message"] for line in Logs(tmp_path).read_lines("app")] == ["failed"]


def test_level_of_python_s_loggers_is_that_of_the_last_configuration(tmp_path: Path) -> None:
    root = logging.getLogger()
    inferlog.logger.uninstall()
    before = root.level
    for level, expected in (("debug", logging.DEBUG), ("error", min(before, logging.ERROR)), ("info", logging.INFO)):
        inferlog.configure(service_name="scoring", log_dir=tmp_path, log_level=level, heartbeat_seconds=0)
        assert root.level == expected
    inferlog.shutdown()
    inferlog.logger.uninstall()
    assert root.level == before


def test_lines_within_inference_carry_its_ids(logs: Logs) -> None:
    with inferlog.track_performance("predict", model_version="v3"):
        inferlog.get_logger().info("inside")
    inferlog.get_logger().info("outside")
    inside, outside = logs.read_lines("app")
    assert inside["request_id"] == logs.event["request_id"]
    assert inside["correlation_id"] == logs.event["correlation_id"]
    assert inside["model_version"] == "v3"
    assert "request_id" not in outside


def test_stdlib_and_structlog_loggers_of_others_write_same_lines(logs: Logs) -> None:
    with inferlog.track_performance("predict"):
        logging.getLogger("somelib").warning("took %d s", 3, extra={"attempt": 2})
        structlog.get_logger().info("from structlog")
    stdlib, other = logs.read_lines("app")
    assert stdlib["message"] == "took 3 s"
    assert stdlib["log"] == {"level": "warning", "logger": "somelib"}
    assert stdlib["labels"] == {"attempt": 2}
    assert stdlib["request_id"] == other["request_id"] == logs.event["request_id"]


def test_lines_below_level_are_not_written(logs: Logs) -> None:
    inferlog.configure(service_name="scoring", log_dir=logs.directory, log_level="warning")
    inferlog.get_logger().info("quiet")
    logging.getLogger("somelib").info("quiet")
    inferlog.get_logger().warning("loud")
    assert [line["message"] for line in logs.read_lines("app")] == ["loud"]


def test_stdlib_is_unchanged_without_capture(logs: Logs) -> None:
    inferlog.configure(service_name="scoring", log_dir=logs.directory, capture_stdlib=False)
    logging.getLogger("somelib").error("not ours")
    assert logs.read_lines("app") == []


def test_loggers_bound_before_configure_write_to_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("inferlog.configuration._runtime", None)
    plain = inferlog.get_logger("plain")
    bound = inferlog.get_logger("bound").bind(component="ranker")
    inferlog.configure(service_name="late", log_dir=tmp_path, log_level="warning")
    for log in (plain, bound):
        log.info("quiet")
        log.warning("loud")
    inferlog.shutdown()
    first, second = Logs(tmp_path).read_lines("app")
    assert (first["log"]["logger"], second["log"]["logger"]) == ("plain", "bound")
    assert (first["message"], second["labels"]) == ("loud", {"component": "ranker"})
    with recording(log_level="debug") as recorded:
        bound.debug("recorded")
    assert [line["message"] for line in recorded.log_lines] == ["recorded"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("log", [inferlog.get_logger("app"), structlog.get_logger()])
def test_names_that_caller_chose_are_kept(logs: Logs, log: FilteringBoundLogger) -> None:
    names: dict[str, Any] = {"level": 2, "event": 1, "method_name": "POST", "name": "x", "logger": "y", "message": "z"}
    log.info("webhook", **names, self=3)
    log.bind(level=2, event=1).warning("bound")
    level_and_event: dict[str, Any] = {"level": 2, "event": 1}
    event: dict[str, Any] = {"event": 1}
    log.log(logging.ERROR, "by number", **level_and_event)
    log.exception("with an exception", **event)  # noqa: LOG004 (there is none)
    asyncio.run(log.ainfo("awaited", **level_and_event))
    lines = logs.read_lines("app")
    assert [line["log"]["level"] for line in lines] == ["info", "warning", "error", "error", "info"]
    assert [line["message"] for line in lines] == ["webhook", "bound", "by number", "with an exception", "awaited"]
    assert lines[0]["labels"] == {**names, "self": 3}
    assert all(line["labels"]["event"] == 1 for line in lines)
    assert [line["labels"].get("level") for line in lines] == [2, 2, 2, None, 2]


class Tensor:
    """Value that has neither a truth value nor a text."""

    def __bool__(self) -> bool:
        raise RuntimeError("ambiguous")

    def __str__(self) -> str:
        raise RuntimeError("no text")


SPECIAL_NAMES = [
    *("event", "level", "logger", "logger_name", "message", "timestamp", "name", "method_name", "self", "labels"),
    *("exc_info", "stack_info", "extra", "positional_args", "args", "_record", "_from_structlog", "error", "status"),
    *("status_code", "request_id", "latency_seconds", "inferlog.callers_event", "inferlog.callers_level", ""),
    *("color_message", "about", "log", "service", "@timestamp"),
]
ANY_VALUE = st.sampled_from(
    [1, 0, "text", (1, 2, 3), (ValueError, ValueError("boom"), None), True, Tensor(), [Tensor()]]
)


def write_value(log: FilteringBoundLogger, message: str, values: dict[str, Any]) -> None:
    log.info(message, **values)


def write_exception(log: FilteringBoundLogger, message: str, values: dict[str, Any]) -> None:
    log.exception(message, **values)  # noqa: LOG004 (there is none)


def write_awaited(log: FilteringBoundLogger, message: str, values: dict[str, Any]) -> None:
    asyncio.run(log.aexception(message, **values))


def write_bound(log: FilteringBoundLogger, message: str, values: dict[str, Any]) -> None:
    log.bind(**values).info(message)


def write_with_context(log: FilteringBoundLogger, message: str, values: dict[str, Any]) -> None:
    with structlog.contextvars.bound_contextvars(**values):
        log.info(message)


def write_extra(_: FilteringBoundLogger, message: str, values: dict[str, Any]) -> None:
    try:
        logging.getLogger("service").info(message, extra=values)
    except KeyError:  # by logging itself, for an attribute of its records
        logging.getLogger("service").info(message)


@pytest.mark.parametrize(
    "write",
    [write_value, write_exception, write_awaited, write_bound, write_with_context, write_extra],
)
@pytest.mark.parametrize("message", ["a text", "inference_completed"])
@given(name=st.sampled_from(SPECIAL_NAMES) | st.text(), value=ANY_VALUE)
def test_no_name_of_caller_loses_line(write: Any, message: str, name: str, value: Any) -> None:
    with recording() as recorded:
        write(inferlog.get_logger(), message, {name: value})
        if message in {line["message"] for line in recorded.log_lines}:
            assert len(recorded.log_lines) == 1
        else:
            assert recorded.event["event"]["action"] == message


def test_value_with_name_of_positional_arguments_is_label(logs: Logs) -> None:
    inferlog.get_logger().info("took %d s", 3, positional_args=1)
    (line,) = logs.read_lines("app")
    assert (line["message"], line["labels"]) == ("took 3 s", {"positional_args": 1})


def test_arguments_of_other_wrapper_class_are_filled_in(logs: Logs) -> None:
    structlog.configure(wrapper_class=structlog.stdlib.BoundLogger)
    structlog.get_logger().warning("took %d s", 3, positional="args")
    (line,) = logs.read_lines("app")
    assert (line["message"], line["labels"]) == ("took 3 s", {"positional": "args"})


def test_names_of_label_and_logger_are_redacted(logs: Logs) -> None:
    inferlog.get_logger().bind(**{"Bearer s3cr3t.S3CR3T9": 1}).info("bound")
    logging.getLogger("conn.postgres://app:s3cr3t@db/x").warning("slow")
    bound, slow = logs.read_lines("app")
    assert bound["labels"] == {"Bearer [REDACTED]": 1}
    assert slow["log"]["logger"] == "conn.postgres://app:[REDACTED]@db/x"


def test_number_as_name_in_extra_is_label(logs: Logs) -> None:
    logging.getLogger("service").warning("a text", extra={1: 2})  # type: ignore[dict-item]
    logging.getLogger("service").warning("inference_completed", extra={1: 2, "latency_seconds": 1})  # type: ignore[dict-item]
    (line,) = logs.read_lines("app")
    assert line["labels"] == logs.event["labels"] == {"1": 2}


def test_line_without_text_or_with_wrong_arguments_is_written(logs: Logs) -> None:
    inferlog.get_logger().info(event="only a value")
    inferlog.get_logger().info("took %d of %d s", 3)
    inferlog.get_logger().info("took %d s", 3)
    inferlog.get_logger().info("took %(seconds)d s", {"seconds": 3})
    assert [line["message"] for line in logs.read_lines("app")] == ["", "took %d of %d s (3,)", "took 3 s", "took 3 s"]


def test_awaited_line_has_ids_and_exception_of_its_call(logs: Logs) -> None:
    async def predict() -> None:
        with inferlog.track_performance("predict"):
            try:
                raise ValueError("boom")
            except ValueError:
                await inferlog.get_logger().aexception("failed")

    asyncio.run(predict())
    (line,) = logs.read_lines("app")
    assert (line["request_id"], line["error"]["type"]) == (logs.event["request_id"], "ValueError")


@pytest.mark.parametrize("get_logger", [inferlog.get_logger, structlog.get_logger])
@pytest.mark.parametrize("name", ["event", "level", "positional_args", "self", "size"])
def test_every_name_can_be_bound_and_unbound(
    logs: Logs, get_logger: Callable[[], FilteringBoundLogger], name: str
) -> None:
    log = get_logger().bind()
    bound = log.new(**{name: 1})
    bound.info("bound")
    bound.unbind(name).info("without")
    bound.try_unbind(name, "missing").info("without")
    with pytest.raises(KeyError, match=name):
        log.unbind(name)
    assert [line.get("labels") for line in logs.read_lines("app")] == [{name: 1}, None, None]


def test_logger_can_be_pickled(logs: Logs) -> None:
    log = inferlog.get_logger("ranker", component="a").bind(size=2)
    pickle.loads(pickle.dumps(log)).info("from a copy")
    (line,) = logs.read_lines("app")
    assert (line["log"]["logger"], line["labels"]) == ("ranker", {"component": "a", "size": 2})


def test_structlog_own_way_of_testing_still_sees_lines(logs: Logs) -> None:
    with structlog.testing.capture_logs() as captured:
        inferlog.get_logger().warning("a line", size=2)
    assert captured == [{"event": "a line", "size": 2, "log_level": "warning"}]
    assert logs.read_lines("app") == []


def test_level_of_moment_is_logger_s(logs: Logs) -> None:
    log = inferlog.get_logger()
    assert (log.is_enabled_for(logging.DEBUG), log.get_effective_level()) == (False, logging.INFO)
    with recording(log_level="debug"):
        assert log.is_enabled_for(logging.DEBUG)


def test_processor_that_raises_breaks_line_only(logs: Logs) -> None:
    def broken(*_: object) -> Any:
        raise RuntimeError("no such context")

    processors = structlog.get_config()["processors"]
    structlog.configure(processors=[broken, *processors])
    structlog.get_logger().info("lost")
    (line,) = logs.read_lines("app")
    assert (line["message"], line["error"]["message"]) == ("inferlog.failed: a log line", "no such context")


@pytest.mark.parametrize("capture_stdlib", [True, False])
def test_library_warning_is_logged_once(logs: Logs, capture_stdlib: bool) -> None:
    inferlog.configure(service_name="scoring", log_dir=logs.directory, capture_stdlib=capture_stdlib)
    warn_once("a value came too late")
    (line,) = logs.read_lines("app")
    assert line["log"] == {"level": "warning", "logger": "inferlog"}


def test_control_characters_and_forged_json_are_escaped(logs: Logs) -> None:
    forged = 'x\n{"status":"success"}\r\u2028\x00\x1b[31m"},'
    inferlog.get_logger().info(forged, **{'ke"y\n': forged})
    (line,) = logs.read_lines("app")
    assert line["message"] == forged
    assert line["labels"] == {'ke"y_': forged}


@pytest.mark.parametrize("value", [object(), {1: 2}, b"\xff", 10**30, float("nan"), "\ud800", {"a": "\ud800"}, sys])
def test_line_is_written_with_any_value(logs: Logs, value: object) -> None:
    inferlog.get_logger().info("odd", value=value)
    (line,) = logs.read_lines("app")
    assert "value" in line["labels"]
