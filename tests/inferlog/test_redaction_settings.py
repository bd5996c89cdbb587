"""Secrets configured by the user are in no file."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import inferlog
from inferlog.redaction import REDACTED, USUAL, activate, is_secret_name, redact
from inferlog.settings import Settings, SettingsError
from inferlog.testing import recording
from tests.support.logfiles import Logs

NAMES = ["badge_number", "staffId"]
PATTERNS = [r"\bEMP-[0-9]{6}\b", "(?i)project (?:falcon|heron)"]


@pytest.fixture(autouse=True)
def _usual_secrets_afterwards() -> Iterator[None]:
    """Restore the default secrets, which otherwise stay configured for the next test."""
    yield
    activate(USUAL)


@pytest.fixture
def strict_logs(logs: Logs) -> Logs:
    """Log directory of a service with its own secrets."""
    inferlog.configure(
        service_name="scoring",
        log_dir=logs.directory,
        redact_names=NAMES,
        redact_patterns=PATTERNS,
        capture_content=True,
    )
    return logs


def read_written(logs: Logs) -> str:
    return "".join(path.read_text() for path in logs.directory.iterdir() if path.is_file())


def test_they_are_taken_out_of_every_text_of_every_stream(strict_logs: Logs) -> None:
    @inferlog.track_performance
    def predict() -> None:
        inferlog.bind_inference(badge_number="4711x", note="of EMP-123456", tenant="acme")
        inferlog.get_logger().info("asked by staff_id=4712x", badgeNumber="4711x", project="Project FALCON")
        logging.getLogger("a.library").warning("X-Badge-Number: 4711x in project heron")
        inferlog.capture_content(input="I am EMP-123456", output="You are staffId: 4712x")
        raise ValueError("EMP-123456 has no model")

    with pytest.raises(ValueError, match="EMP-123456"):
        predict()
    inferlog.shutdown()

    for secret in ("EMP-123456", "4711x", "4712x", "FALCON", "heron"):
        assert secret not in read_written(strict_logs)
    event = strict_logs.event
    assert event["labels"] == {"badge_number": REDACTED, "note": f"of {REDACTED}", "tenant": "acme"}
    assert event["error"]["message"] == f"{REDACTED} has no model"
    assert [line["message"] for line in strict_logs.read_lines("app")] == [
        f"asked by staff_id={REDACTED}",
        f"X-Badge-Number: {REDACTED} in {REDACTED}",
    ]


def test_usual_secrets_go_as_before(strict_logs: Logs) -> None:
    inferlog.get_logger().info("password=hunter2x")
    (line,) = strict_logs.read_lines("app")
    assert line["message"] == f"password={REDACTED}"


def test_they_are_read_from_environment(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERLOG_REDACT_NAMES", "badge_number, staff_id")
    monkeypatch.setenv("INFERLOG_REDACT_PATTERNS", "\\bEMP-[0-9]{1,6}\\b\n\nORD,[0-9]+\n")
    inferlog.configure(service_name="scoring", log_dir=logs.directory)
    inferlog.get_logger().info("staff_id=17 with EMP-12 and ORD,5")
    (line,) = logs.read_lines("app")
    assert line["message"] == f"staff_id={REDACTED} with {REDACTED} and {REDACTED}"


def test_forked_child_uses_configured_secrets(strict_logs: Logs) -> None:
    child = os.fork()
    if child == 0:
        try:
            inferlog.get_logger().info("EMP-123456")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    (line,) = strict_logs.read_lines("app")
    assert line["message"] == REDACTED


def test_they_hold_as_long_as_settings_do() -> None:
    with recording(redact_names=NAMES, redact_patterns="EMP-[0-9]+"):
        assert redact("EMP-1") == REDACTED
        assert is_secret_name("badge_number")
        with recording():
            assert redact("EMP-1") == "EMP-1"
        assert redact("EMP-1") == REDACTED
        assert redact("EMP-1", USUAL) == "EMP-1"


def test_header_with_user_secret_is_not_written_plain() -> None:
    with pytest.raises(SettingsError, match="client_id_header is 'x-badge-number', a header with a credential"):
        Settings(client_id_header="x-badge-number", client_id_plain=True, redact_names=("badge_number",))


def test_plain_client_id_that_pattern_matches_is_hashed() -> None:
    with (
        recording(client_id_plain=True, redact_patterns=PATTERNS) as recorded,
        inferlog.track_performance(client_id="EMP-123456"),
    ):
        pass
    assert len(recorded.event["client"]["id"]) == 32


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "missing ), unterminated subpattern at position 0"),
        ("[a", "unterminated character set at position 0"),
        ("a{99999999999}", "the repetition number is too large"),
    ],
)
def test_invalid_pattern_error_names_pattern_and_reason(pattern: str, reason: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.read({"redact_patterns": ["fine", pattern]}, {})
    assert str(refused.value) == f"redact_patterns has {pattern!r}, which is not a valid regular expression: {reason}"
    with pytest.raises(SettingsError, match="^INFERLOG_REDACT_PATTERNS has "):
        Settings.read({}, {"INFERLOG_REDACT_PATTERNS": f"fine\n{pattern}"})


@pytest.mark.parametrize("value", [17, [b"EMP"], [None]])
def test_non_text_pattern_is_rejected(value: object) -> None:
    with pytest.raises(SettingsError, match="redact_patterns is .*; expected regular expressions"):
        Settings.read({"redact_patterns": value}, {})


@pytest.mark.parametrize("names", ["", "badge_number,,staff_id", ["-"]])
def test_name_without_letter_is_rejected(names: object) -> None:
    with pytest.raises(SettingsError, match="redact_names has .*; expected names such as badge_number"):
        Settings.read({"redact_names": names}, {})


def test_rejected_pattern_keeps_previous_settings(strict_logs: Logs) -> None:
    with pytest.raises(SettingsError):
        inferlog.configure(service_name="scoring", log_dir=Path(strict_logs.directory), redact_patterns="(")
    inferlog.get_logger().info("EMP-123456")
    (line,) = strict_logs.read_lines("app")
    assert line["message"] == REDACTED
