"""Rule files: what is one, and what is told about one that is not."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query import library
from inferlog_ops.query.dashboards import files as dashboards
from inferlog_ops.query.dashboards import slo
from inferlog_ops.query.rules import rules
from inferlog_ops.query.rules.condition import text_of, with_levels
from tests.support.alert_cases import LEVELS

GOOD = {
    "title": "Something is wrong",
    "description": "Look there.",
    "severity": "warning",
    "query": "queries/error_rate.esql",
    "where": "error_rate > {slo.error_rate}",
    "threshold": "{slo.error_rate}",
    "group": ["model_version"],
    "figures": ["error_rate"],
    "window": "1h30m",
    "every": "1m",
    "dashboard": "inferlog-overview",
}


def _file(folder: Path, content: Any) -> Path:
    path = folder / "my_rule.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_file_is_read_as_it_says(tmp_path: Path) -> None:
    rule = rules.read(_file(tmp_path, {**GOOD, "settle": "2m"}))
    assert (rule.name, rule.query, rule.eval) == ("my_rule", "error_rate", "")
    assert (rule.window, rule.settle, rule.every) == (
        timedelta(minutes=90),
        timedelta(minutes=2),
        timedelta(minutes=1),
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("{", "my_rule.json is no JSON"),
        ("[]", "my_rule.json holds no JSON object; expected one with title"),
        ({"titel": "x"}, "titel is none of a rule's keys"),
        ({"title": None}, "title is null; expected text"),
        ({"where": ""}, 'where is ""; expected text'),
        ({"eval": 1}, "eval is 1; expected text"),
        ({"severity": "high"}, "severity is 'high'; expected critical or warning"),
        ({"query": "error_rate"}, "query is 'error_rate'; expected a file such as queries/error_rate.esql"),
        ({"query": "../slo.json"}, "expected a file such as"),
        ({"group": "model_version"}, 'group is "model_version"; expected a list'),
        ({"figures": []}, "figures names no column"),
        ({"figures": [1]}, "figures is [1]; expected a list"),
        ({"figures": ["TO_LONG(1)) | KEEP x"]}, "expected a list of the query's columns"),
        ({"group": ["{slo.error_rate}"]}, "expected a list of the query's columns"),
        ({"settle": "900000000d"}, "expected at most 366 days"),
        ("{" + '"a":{' * 5_000, "my_rule.json is no JSON"),
        ({"window": "soon"}, "window: 'soon' is no span of time"),
        ({"every": "0.5s"}, "every is '0.5s'; expected whole seconds"),
    ],
)
def test_file_that_is_no_rule_is_told_in_one_sentence(tmp_path: Path, change: Any, complaint: str) -> None:
    content = {**GOOD, **change} if isinstance(change, dict) else change
    with pytest.raises(OperatorError) as refusal:
        rules.read(_file(tmp_path, content))
    assert complaint in str(refusal.value)
    assert "dashboards/rules/my_rule.json" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("key", GOOD)
def test_every_key_is_needed(tmp_path: Path, key: str) -> None:
    with pytest.raises(OperatorError, match=f"{key} is null; expected"):
        rules.read(_file(tmp_path, {name: value for name, value in GOOD.items() if name != key}))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"query": "queries/error_rat.esql"}, "my_rule.json names queries/error_rat.esql, which is not there"),
        ({"where": "errors > {slo.errors}"}, "names the service level 'errors'; known are p99_latency_seconds"),
    ],
)
def test_rule_about_what_is_not_there_is_told(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    rule = rules.read(_file(tmp_path, {**GOOD, **change}))
    with pytest.raises(OperatorError, match=complaint):
        text_of(rule, LEVELS, library.load_all(), "default")


def test_level_of_a_version_is_a_case_over_it_and_its_name_stays_a_text() -> None:
    text = with_levels(rules.find("error_rate"), "error_rate > {slo.error_rate}", LEVELS)
    assert text == 'error_rate > CASE(model_version == "odd\\" OR true //\\\\", 0.5, 0.01)'


def test_level_of_a_version_does_not_matter_to_a_rule_that_does_not_tell_versions_apart() -> None:
    levels = slo.ServiceLevels(default=LEVELS.default, by_model_version={"v1": {"ingest_lag_p99_seconds": 9}})
    assert with_levels(rules.find("ingest_lag"), "{slo.ingest_lag_p99_seconds}", levels) == "5.0"


@pytest.mark.parametrize("rule", rules.load_all().values(), ids=lambda rule: rule.name)
def test_rule_names_what_is_there(rule: rules.Rule) -> None:
    assert rule.dashboard in dashboards.load_all()
    assert text_of(rule, slo.load(), library.load_all(), "default")
    assert rule.every <= rule.window


def test_unknown_rule_is_told_with_the_nearest() -> None:
    with pytest.raises(OperatorError, match="there is no rule 'p99_latncy'; did you mean p99_latency"):
        rules.find("p99_latncy")


@pytest.mark.parametrize("rule", rules.load_all().values(), ids=lambda rule: rule.name)
def test_rule_stands_in_the_documentation(rule: rules.Rule) -> None:
    page = Path(__file__).parents[4] / "docs" / "alerts.md"
    (row,) = [line for line in page.read_text().splitlines() if line.startswith(f"| `{rule.name}` |")]
    assert row.endswith(f"| {rule.severity} |")
