"""Edits of the text of a query."""

import pytest

from inferlog_ops.query import library
from inferlog_ops.query.esql import (
    drop_failure_stores,
    drop_limits,
    find_answer_limit,
    find_failure_stores,
    find_read_limits,
    group_other_versions,
    keep_columns,
)
from inferlog_ops.query.rules import rules

HEAD = "// How many?\nFROM events\n| WHERE a > 1\n  AND b > 1\n"


def test_limit_counts_rows_before_it_and_its_sort() -> None:
    limit = find_answer_limit(f"{HEAD}| SORT a DESC\n| LIMIT 7\n| EVAL c = a\n")
    assert limit is not None
    assert (limit.rows, limit.counting) == (7, f"{HEAD}| STATS counted = COUNT(*)\n| LIMIT 1\n")


def test_limit_before_the_last_one_is_a_read_limit() -> None:
    text = f"{HEAD}| LIMIT 10000\n| STATS n = COUNT(*) BY a\n| SORT n\n| LIMIT 5\n"
    (reading,) = find_read_limits(text)
    assert (reading.rows, reading.counting) == (10_000, f"{HEAD}| STATS counted = COUNT(*)\n| LIMIT 1\n")
    of_answer = find_answer_limit(text)
    assert of_answer is not None
    assert of_answer.rows == 5


def test_text_without_a_limit_has_none() -> None:
    assert find_answer_limit(HEAD) is None
    assert find_read_limits(HEAD) == []


def test_limit_stays_the_limit_of_the_answer_when_columns_are_dropped() -> None:
    limit = find_answer_limit(keep_columns(f"{HEAD}| LIMIT 7\n", ["a"]))
    assert limit is not None
    assert limit.rows == 7


@pytest.mark.parametrize("name", {rule.query for rule in rules.load_all().values()})
def test_drop_limits_keeps_every_other_command(name: str) -> None:
    text = library.find(name).text
    left = [line for line in text.splitlines() if not line.startswith(("| SORT", "| LIMIT"))]
    assert drop_limits(text).splitlines() == left


def test_failure_stores_are_dropped_and_the_streams_stay() -> None:
    text = "FROM a-*,b.*-*::failures METADATA _index\n| LIMIT 1\n"
    assert find_failure_stores(text) == ["b.*-*"]
    assert drop_failure_stores(text) == "FROM a-* METADATA _index\n| LIMIT 1\n"
    assert find_failure_stores(HEAD) == []
    assert drop_failure_stores(HEAD) == HEAD


def test_versions_are_parameters_not_part_of_the_text() -> None:
    hostile = 'v1") | LIMIT 1 //'
    text, parameters = group_other_versions(f"{HEAD}| STATS n = COUNT(*) BY model_version\n", ["v0", hostile])
    assert parameters == [{"_model_version_0": "v0"}, {"_model_version_1": hostile}]
    assert hostile not in text
    assert text.index("model_version IN (?_model_version_0, ?_model_version_1)") < text.index("| STATS")
