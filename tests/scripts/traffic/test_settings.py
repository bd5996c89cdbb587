import re
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import pytest

from inferlog_traffic.settings import TrafficSettings, add_options, parse_seconds, store_weights

WEIGHTS = (8, 6, 2, 2, 1, 1, 1)


class Parser(ArgumentParser):
    """Parser that accepts ``include_in_web_ui``, as Locust's own parser does."""

    def add_argument(self, *names: Any, **more: Any) -> Any:
        more.pop("include_in_web_ui", None)
        return super().add_argument(*names, **more)


def parse(*arguments: str) -> Namespace:
    parser = Parser()
    add_options(parser)
    return parser.parse_args(arguments)


def parse_options(*arguments: str) -> Namespace:
    namespace = parse(*arguments)
    store_weights(namespace, WEIGHTS)
    return namespace


def test_default_run_lasts_a_minute_with_a_unique_id() -> None:
    first, second = TrafficSettings.from_options(parse_options()), TrafficSettings.from_options(parse_options())
    assert (first.duration_seconds, first.highest_requests_per_second) == (60, 10.0)
    assert first.run_id != second.run_id


@pytest.mark.parametrize(("text", "expected"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200)])
def test_duration_is_parsed_with_its_unit(text: str, expected: int) -> None:
    assert parse_seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5x", "1.5", "-3", "1h30m"])
def test_invalid_duration_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="^"):
        parse_seconds(text)


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
            "--user-rate is 10.5; expected a number up to --rate, which is 10.0, or 0 for a rate with",
        ),
        ("duration", 0, "--duration is 0"),
        ("burst_size", 0, "--burst-size is 0"),
        ("run_id", "a b", "--run-id is 'a b'; expected 1 to 32 of"),
        ("run_id", "x" * 33, "--run-id is 'xxx"),
    ],
)
def test_invalid_setting_is_rejected_whatever_its_source(name: str, value: object, words: str) -> None:
    """The web page sets values without the checks of the command line."""
    namespace = parse_options()
    setattr(namespace, name, value)
    with pytest.raises(ValueError, match="--") as refusal:
        TrafficSettings.from_options(namespace)
    assert words in str(refusal.value)


def test_users_follow_the_rate() -> None:
    run = TrafficSettings.from_options(
        parse_options("--curve", "ramp", "--rate", "20", "--user-rate", "0.5", "--duration", "100")
    )
    assert [run.count_users_after(at) for at in (0, 25, 50, 100)] == [1, 10, 20, 40]


@pytest.mark.parametrize("rate", [0.2, 1, 5, 10, 10.5])
def test_all_classes_have_users_at_any_rate(rate: float) -> None:
    run = TrafficSettings.from_options(parse_options("--rate", str(rate)))
    assert run.count_users_after(30) == sum(WEIGHTS)
    assert run.count_users_after(30) * run.user_requests_per_second == pytest.approx(rate)


@pytest.mark.parametrize("curve", ["steps", "spike", "day"])
def test_all_classes_have_users_at_the_lowest_point_of_a_curve(curve: str) -> None:
    run = TrafficSettings.from_options(parse_options("--rate", "1", "--curve", curve, "--duration", "1000"))
    users = [run.count_users_after(at) for at in range(1000)]
    assert min(users) == sum(WEIGHTS)
    assert max(users) * run.user_requests_per_second == pytest.approx(1, rel=0.01)


def test_user_sends_at_most_one_request_in_two_seconds() -> None:
    assert TrafficSettings.from_options(parse_options("--rate", "100")).count_users_after(30) == 200


def test_fewer_classes_need_fewer_users() -> None:
    namespace = parse_options("--rate", "1")
    store_weights(namespace, WEIGHTS[:2])
    assert TrafficSettings.from_options(namespace).count_users_after(30) == 14


def test_page_about_the_load_lists_every_option_with_its_default() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "traffic.md").read_text()
    listed = dict(re.findall(r"^\| `--([a-z-]+)` \| `?([^`|]+?)`? \|", page, re.MULTILINE))
    defaults = {name.replace("_", "-"): value for name, value in vars(parse()).items()}
    assert listed.keys() == defaults.keys()
    for name, value in defaults.items():
        match name:
            case "records":
                assert (listed[name], value) == ("none", None)
            case "skip-if-recorded" | "new-connections":
                assert (listed[name], bool(value)) == ("off", False)
            case "run-id":
                assert listed[name] == "random"
            case "prompts":
                assert value.endswith(listed[name])
            case _:
                assert float(listed[name]) == value if isinstance(value, int | float) else listed[name] == value
