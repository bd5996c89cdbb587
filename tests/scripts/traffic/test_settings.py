import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import pytest

from inferlog_traffic.settings import Settings, add_options, note_weights, seconds

WEIGHTS = (8, 6, 2, 2, 1, 1, 1)


class Parser(ArgumentParser):
    """Takes what Locust's own parser takes: whether the web page shows an option."""

    def add_argument(self, *names: Any, **more: Any) -> Any:
        more.pop("include_in_web_ui", None)
        return super().add_argument(*names, **more)


def parsed(*arguments: str) -> Namespace:
    parser = Parser()
    add_options(parser)
    return parser.parse_args(arguments)


def options(*arguments: str) -> Namespace:
    given = parsed(*arguments)
    note_weights(given, WEIGHTS)
    return given


def test_without_options_there_is_a_run_of_a_minute_with_a_name_of_its_own() -> None:
    first, second = Settings.of(options()), Settings.of(options())
    assert (first.duration_seconds, first.highest_requests_per_second) == (60, 10.0)
    assert first.run_id != second.run_id


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200)])
def test_duration_is_read_with_its_unit(text: str, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5x", "1.5", "-3", "1h30m"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="^"):
        seconds(text)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("curve", "sawtooth", "--curve is 'sawtooth'; expected one of flat, steps, ramp, spike, day"),
        ("rate", 0.0, "--rate is 0.0; expected a number above 0"),
        ("rate", float("nan"), "--rate is nan"),
        ("rate", float("inf"), "--rate is inf"),
        ("user_rate", -1.0, "--user-rate is -1.0"),
        ("user_rate", float("nan"), "--user-rate is nan"),
        (
            "user_rate",
            10.5,
            "--user-rate is 10.5; expected a number up to --rate, which is 10.0, or 0 for one at which",
        ),
        ("duration", 0, "--duration is 0"),
        ("burst_size", 0, "--burst-size is 0"),
        ("run_id", "a b", "--run-id is 'a b'; expected 1 to 32 of"),
        ("run_id", "x" * 33, "--run-id is 'xxx"),
    ],
)
def test_what_cannot_be_is_refused_whoever_has_set_it(name: str, value: object, words: str) -> None:
    """The web page sets values past the command line's own checks."""
    given = options()
    setattr(given, name, value)
    with pytest.raises(ValueError, match="--") as refusal:
        Settings.of(given)
    assert words in str(refusal.value)


def test_users_make_the_rate_of_the_moment() -> None:
    run = Settings.of(options("--curve", "ramp", "--rate", "20", "--user-rate", "0.5", "--duration", "100"))
    assert [run.users_after(at) for at in (0, 25, 50, 100)] == [1, 10, 20, 40]


@pytest.mark.parametrize("rate", [0.2, 1, 5, 10, 10.5])
def test_at_any_rate_there_are_users_enough_for_callers_of_all_classes(rate: float) -> None:
    run = Settings.of(options("--rate", str(rate)))
    assert run.users_after(30) == sum(WEIGHTS)
    assert run.users_after(30) * run.user_requests_per_second == pytest.approx(rate)


@pytest.mark.parametrize("curve", ["steps", "spike", "day"])
def test_where_a_curve_rests_there_are_enough_of_them_too(curve: str) -> None:
    run = Settings.of(options("--rate", "1", "--curve", curve, "--duration", "1000"))
    users = [run.users_after(at) for at in range(1000)]
    assert min(users) == sum(WEIGHTS)
    assert max(users) * run.user_requests_per_second == pytest.approx(1, rel=0.01)


def test_above_that_a_user_asks_every_other_second() -> None:
    assert Settings.of(options("--rate", "100")).users_after(30) == 200


def test_of_fewer_classes_fewer_users_are_enough() -> None:
    given = options("--rate", "1")
    note_weights(given, WEIGHTS[:2])
    assert Settings.of(given).users_after(30) == 14


def test_the_page_about_the_load_lists_every_option_with_its_default() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "traffic.md").read_text()
    listed = dict(re.findall(r"^\| `--([a-z-]+)` \| `?([^`|]+?)`? \|", page, re.MULTILINE))
    defaults = {name.replace("_", "-"): value for name, value in vars(parsed()).items()}
    assert listed.keys() == defaults.keys()
    for name, value in defaults.items():
        match name:
            case "records":
                assert (listed[name], value) == ("none", None)
            case "run-id":
                assert listed[name] == "random"
            case "prompts":
                assert value.endswith(listed[name])
            case _:
                assert float(listed[name]) == value if isinstance(value, int | float) else listed[name] == value
