from inferlog.internal_errors import warn_once
from inferlog.testing import recording


def messages(lines: list[dict[str, object]]) -> list[object]:
    return [line["message"] for line in lines]


def test_warning_is_logged_once_for_each_subject() -> None:
    with recording() as recorded:
        for _ in range(3):
            warn_once("a value came too late", "output_tokens")
            warn_once("a value came too late", "input_tokens")
    assert messages(recorded.log_lines) == ["a value came too late"] * 2
    assert [line["labels"] for line in recorded.log_lines] == [{"about": "output_tokens"}, {"about": "input_tokens"}]


def test_warning_is_logged_again_after_a_new_configuration() -> None:
    for _ in range(2):
        with recording() as recorded:
            warn_once("a value came too late")
        assert messages(recorded.log_lines) == ["a value came too late"]
