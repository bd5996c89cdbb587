"""Rule files: valid ones, and errors of invalid ones."""

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
from inferlog_ops.query.rules.condition import build_rule_query, fill_levels
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


def _write_rule(folder: Path, content: Any) -> Path:
    path = folder / "my_rule.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_rule_file_is_read(tmp_path: Path) -> None:
    rule = rules.read(_write_rule(tmp_path, {**GOOD, "settle": "2m"}))
    assert (rule.name, rule.query, rule.eval) == ("my_rule", "error_rate", "")
    assert (rule.window, rule.settle, rule.every) == (
        timedelta(minutes=90),
        timedelta(minutes=2),
        timedelta(minutes=1),
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("{", "my_rule.json is not valid JSON"),
        ("[]", "my_rule.json is not a JSON object; expected an object with title"),
        ({"titel": "x"}, "titel is not a key of a rule"),
        ({"title": None}, "title is null; expected text"),
        ({"where": ""}, 'where is ""; expected text'),
        ({"eval": 1}, "eval is 1; expected text"),
        ({"severity": "high"}, "severity is 'high'; expected critical or warning"),
        ({"query": "error_rate"}, "query is 'error_rate'; expected a file such as queries/error_rate.esql"),
        ({"query": "../slo.json"}, "expected a file such as"),
        ({"group": "model_version"}, 'group is "model_version"; expected a list'),
        ({"figures": []}, "figures is empty"),
        ({"figures": [1]}, "figures is [1]; expected a list"),
        ({"figures": ["TO_LONG(1)) | KEEP x"]}, "expected a list of the query's columns"),
        ({"group": ["{slo.error_rate}"]}, "expected a list of the query's columns"),
        ({"settle": "900000000d"}, "expected at most 366 days"),
        ("{" + '"a":{' * 5_000, "my_rule.json is not valid JSON"),
        ({"window": "soon"}, "window: 'soon' is not a duration"),
        ({"every": "0.5s"}, "every is '0.5s'; expected whole seconds"),
    ],
)
def test_invalid_rule_file_is_rejected_in_one_sentence(tmp_path: Path, change: Any, complaint: str) -> None:
    content = {**GOOD, **change} if isinstance(change, dict) else change
    with pytest.raises(OperatorError) as refusal:
        rules.read(_write_rule(tmp_path, content))
    assert complaint in str(refusal.value)
    assert "dashboards/rules/my_rule.json" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("key", GOOD)
def test_every_key_is_required(tmp_path: Path, key: str) -> None:
    with pytest.raises(OperatorError, match=f"{key} is null; expected"):
        rules.read(_write_rule(tmp_path, {name: value for name, value in GOOD.items() if name != key}))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"query": "queries/error_rat.esql"}, "my_rule.json refers to queries/error_rat.esql, which does not exist"),
        (
            {"where": "errors > {slo.errors}"},
            "refers to the unknown service level 'errors'; expected one of p99_latency_seconds",
        ),
    ],
)
def test_unknown_reference_in_a_rule_is_reported(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    rule = rules.read(_write_rule(tmp_path, {**GOOD, **change}))
    with pytest.raises(OperatorError, match=complaint):
        build_rule_query(rule, LEVELS, library.load_all(), "default")


def test_level_of_a_version_becomes_a_case_with_a_quoted_name() -> None:
    text = fill_levels(rules.find("error_rate"), "error_rate > {slo.error_rate}", LEVELS)
    assert text == 'error_rate > CASE(model_version == "odd\\" OR true //\\\\", 0.5, 0.01)'


def test_level_of_a_version_is_ignored_by_a_rule_without_versions() -> None:
    levels = slo.ServiceLevels(default=LEVELS.default, by_model_version={"v1": {"ingest_lag_p99_seconds": 9}})
    assert fill_levels(rules.find("ingest_lag"), "{slo.ingest_lag_p99_seconds}", levels) == "5.0"


@pytest.mark.parametrize("rule", rules.load_all().values(), ids=lambda rule: rule.name)
def test_rule_references_exist(rule: rules.Rule) -> None:
    assert rule.dashboard in dashboards.load_all()
    assert build_rule_query(rule, slo.load(), library.load_all(), "default")
    assert rule.every <= rule.window


def test_unknown_rule_error_names_the_nearest() -> None:
    with pytest.raises(OperatorError, match="there is no rule 'p99_latncy'; did you mean p99_latency"):
        rules.find("p99_latncy")


@pytest.mark.parametrize("rule", rules.load_all().values(), ids=lambda rule: rule.name)
def test_rule_is_documented(rule: rules.Rule) -> None:
    page = Path(__file__).parents[4] / "docs" / "alerts.md"
    rows = [line for line in page.read_text().splitlines() if line.startswith(f"| `{rule.name}` |")]
    assert len(rows) == 1, f"docs/alerts.md has one row for {rule.name}"
    (row,) = rows
    assert row.endswith(f"| {rule.severity} |")
