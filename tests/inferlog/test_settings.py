from pathlib import Path

import pytest

from inferlog.settings import Settings, SettingsError


def test_arguments_win_over_the_environment_and_that_over_defaults() -> None:
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
        ({"service_name": " "}, "service_name is ' '; expected text"),
        ({"log_dir": ""}, "log_dir is ''; expected a path"),
        ({"log_dir": __file__}, "which is a file; expected a directory"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_found_and_expected(given: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.read(given, {})


def test_a_wrong_variable_is_named_as_the_user_wrote_it() -> None:
    with pytest.raises(SettingsError, match="INFERLOG_MAX_FILE_AGE_SECONDS is 'x'; expected a number"):
        Settings.read({}, {"INFERLOG_MAX_FILE_AGE_SECONDS": "x"})


def test_the_log_directory_does_not_move_with_the_working_directory() -> None:
    assert Settings.read({"log_dir": "files"}, {}).log_dir == Path.cwd() / "files"
    assert Settings.read({}, {}).log_dir == Path.cwd() / "logs"
