import json
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards import slo


def test_levels_of_the_project_are_figures_above_zero() -> None:
    levels = slo.load()
    assert levels.default["p99_latency_seconds"] > 0
    assert 0 < levels.default["error_rate"] < 1


def test_user_file_overrides_only_its_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = slo.load()
    path = tmp_path / "slo.json"
    path.write_text(json.dumps({"p99_latency_seconds": 0.25, "model_versions": {"v2": {"error_rate": 0.05}}}))
    monkeypatch.setenv("INFERLOG_SLO_FILE", str(path))
    levels = slo.load()
    assert levels.default == {**ours.default, "p99_latency_seconds": 0.25}
    assert levels.by_model_version == {"v2": {"error_rate": 0.05}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "is a list"),
        ('{"p99": 1}', "p99 is not a service level"),
        ('{"error_rate": "low"}', 'error_rate is "low"'),
        ('{"error_rate": true}', "error_rate is true"),
        ('{"error_rate": 0}', "expected a number above 0"),
        ('{"error_rate": NaN}', "is not valid JSON"),
        ('{"p99_latency_seconds": 1e400}', "is not valid JSON"),
        ('{"p99_latency_seconds": 1' + "0" * 400 + "}", "is not valid JSON"),
        ("[" * 5_000, "is not valid JSON"),
        ('{"model_versions": []}', "model_versions is a list"),
        ('{"model_versions": {"v1": 5}}', "model_versions.v1 is a number"),
        ('{"model_versions": {"v1": {"p99": 1}}}', "model_versions.v1.p99 is not a service level"),
    ],
)
def test_invalid_user_file_is_rejected_in_one_sentence(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "slo.json"
    path.write_text(text)
    monkeypatch.setenv("INFERLOG_SLO_FILE", str(path))
    with pytest.raises(OperatorError) as refused:
        slo.load()
    assert said in str(refused.value)
    assert str(path) in str(refused.value)
    assert refused.value.exit_code == 2


def test_missing_user_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERLOG_SLO_FILE", str(tmp_path / "none.json"))
    with pytest.raises(OperatorError, match="No such file"):
        slo.load()
