"""The text of a query as a chain of commands."""

import pytest

from inferlog_ops.query import library
from inferlog_ops.query.rules import rules
from inferlog_ops.query.text import limit_of_answer, limits_of_reading, with_versions_of_their_own, without_limits

HEAD = "// How many?\nFROM events\n| WHERE a > 1\n  AND b > 1\n"


def test_limit_is_counted_in_front_of_it_and_of_its_sorting() -> None:
    limit = limit_of_answer(f"{HEAD}| SORT a DESC\n| LIMIT 7\n| EVAL c = a\n")
    assert limit is not None
    assert (limit.rows, limit.counting) == (7, f"{HEAD}| STATS counted = COUNT(*)\n| LIMIT 1\n")


def test_limit_before_the_last_one_is_one_of_reading() -> None:
    text = f"{HEAD}| LIMIT 10000\n| STATS n = COUNT(*) BY a\n| SORT n\n| LIMIT 5\n"
    (reading,) = limits_of_reading(text)
    assert (reading.rows, reading.counting) == (10_000, f"{HEAD}| STATS counted = COUNT(*)\n| LIMIT 1\n")
    of_answer = limit_of_answer(text)
    assert of_answer is not None
    assert of_answer.rows == 5


def test_text_without_a_limit_has_none() -> None:
    assert limit_of_answer(HEAD) is None
    assert limits_of_reading(HEAD) == []


@pytest.mark.parametrize("name", {rule.query for rule in rules.load_all().values()})
def test_query_of_a_rule_without_its_limits_is_all_else_that_it_was(name: str) -> None:
    text = library.find(name).text
    left = [line for line in text.splitlines() if not line.startswith(("| SORT", "| LIMIT"))]
    assert without_limits(text).splitlines() == left


def test_versions_are_parameters_and_no_part_of_the_text() -> None:
    hostile = 'v1") | LIMIT 1 //'
    text, parameters = with_versions_of_their_own(f"{HEAD}| STATS n = COUNT(*) BY model_version\n", ["v0", hostile])
    assert parameters == [{"_model_version_0": "v0"}, {"_model_version_1": hostile}]
    assert hostile not in text
    assert text.index("model_version IN (?_model_version_0, ?_model_version_1)") < text.index("| STATS")
