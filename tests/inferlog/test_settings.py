import math
from pathlib import Path

import pytest

from inferlog.settings import Settings, SettingsError


def test_arguments_win_over_environment_and_that_over_defaults() -> None:
    settings = Settings.read(
        {"service_name": "given", "log_level": None},
        {"INFERLOG_SERVICE_NAME": "env", "INFERLOG_LOG_LEVEL": "DEBUG", "INFERLOG_MAX_FILE_BYTES": "1000"},
    )
    assert (settings.service_name, settings.log_level, settings.max_file_bytes) == ("given", "debug", 1000)
    assert settings.environment == "development"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"log_level": "loud"}, "log_level is 'loud'; expected one of debug, info"),
        ({"max_file_bytes": "many"}, "max_file_bytes is 'many'; expected a whole number"),
        ({"max_file_bytes": 0}, "max_file_bytes is 0; expected more than 0"),
        ({"keep_shipped_seconds": -1}, "keep_shipped_seconds is -1.0; expected 0 or more"),
        ({"capture_stdlib": "perhaps"}, "capture_stdlib is 'perhaps'; expected true or false"),
        ({"max_file_bytes": True}, "max_file_bytes is True; expected a whole number"),
        ({"max_file_bytes": math.inf}, "max_file_bytes is inf; expected a whole number"),
        ({"max_total_bytes": math.nan}, "max_total_bytes is nan; expected a whole number"),
        ({"max_total_bytes": "inf"}, "max_total_bytes is 'inf'; expected a whole number"),
        ({"forward_port": 24224.5}, "forward_port is 24224.5; expected a whole number"),
        ({"heartbeat_seconds": math.nan}, "heartbeat_seconds is nan; expected a number"),
        ({"heartbeat_seconds": False}, "heartbeat_seconds is False; expected a number"),
        ({"keep_shipped_seconds": "inf"}, "keep_shipped_seconds is 'inf'; expected a number"),
        ({"max_file_age_seconds": 10**400}, "max_file_age_seconds is 1000+; expected a number"),
        ({"service_name": " "}, "service_name is ' '; expected non-empty text"),
        ({"service_name": "x" * 257}, "^service_name is 'x{79}… of 257 characters; expected 256 or fewer$"),
        ({"service_name": "caf\udce9"}, "service_name is 'caf.udce9'; expected text that can be encoded as UTF-8"),
        ({"environment": "\ud800"}, "environment is '.ud800'; expected text that can be encoded as UTF-8"),
        ({"console": "perhaps"}, "console is 'perhaps'; expected one of auto, always, never"),
        (
            {"console": "always", "environment": "Production"},
            "console is 'always' and environment is 'Production'; exp",
        ),
        ({"log_dir": "~no-such-user/logs"}, "log_dir is '~no-such-user/logs', and the home directory is unknown"),
        ({"log_dir": ""}, "log_dir is ''; expected a path"),
        ({"log_dir": __file__}, "which is a file; expected a directory"),
    ],
)
def test_invalid_setting_error_names_found_and_expected_value(given: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.read(given, {})


@pytest.mark.parametrize("is_argument", [True, False])
def test_case_is_kept_only_in_text_where_it_has_a_meaning(is_argument: bool) -> None:
    text = {"log_level": "Info", "console": "Never", "client_id_header": "X-Client-Id", "service_name": "Scoring"}
    variables = {f"INFERLOG_{name.upper()}": value for name, value in text.items()}
    settings = Settings.read(text, {}) if is_argument else Settings.read({}, variables)
    assert (settings.log_level, settings.console, settings.client_id_header) == ("info", "never", "x-client-id")
    assert settings.service_name == "Scoring"


def test_invalid_variable_error_has_variable_name() -> None:
    with pytest.raises(SettingsError, match="INFERLOG_MAX_FILE_AGE_SECONDS is 'x'; expected a number"):
        Settings.read({}, {"INFERLOG_MAX_FILE_AGE_SECONDS": "x"})


def test_log_directory_does_not_move_with_working_directory() -> None:
    assert Settings.read({"log_dir": "files"}, {}).log_dir == Path.cwd() / "files"
    assert Settings.read({}, {}).log_dir == Path.cwd() / "logs"


def test_whole_number_is_accepted_as_float() -> None:
    settings = Settings.read({"max_file_bytes": 1e6, "service_name": "x" * 256}, {})
    assert repr(settings.max_file_bytes) == "1000000"


def test_tilde_is_expanded_to_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = Settings.read({"log_dir": "~/logs"}, {"INFERLOG_AUDIT_KEY_FILE": "~/audit.key"})
    assert (settings.log_dir, settings.audit_key_file) == (tmp_path / "logs", tmp_path / "audit.key")
