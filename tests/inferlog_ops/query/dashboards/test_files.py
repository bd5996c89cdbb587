from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards import files


def test_landing_page_comes_first() -> None:
    assert next(iter(files.load_all())) == files.LANDING_PAGE


def test_dashboard_is_found_by_its_file_name() -> None:
    assert files.find("inferlog-overview").title == "Inference overview"


def test_unknown_dashboard_error_names_the_nearest() -> None:
    with pytest.raises(OperatorError, match="did you mean inferlog-overview") as refused:
        files.find("inferlog-overvew")
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "json is not valid JSON"),
        ("[]", "json is a list; expected an object"),
        ("{}", "json: title is missing or null; expected a text"),
        ('{"title": 3}', "json: title is null or a number; expected a text"),
        ('{"title": "\\ud800"}', "json is not valid JSON"),
        ('{"title": "t", "panels": {}}', "json: panels is an object; expected a list"),
        ('{"title": "t", "panels": ["text"]}', "json: panels[0] is a text; expected an object"),
        ('{"title": "t", "panels": [{"type": "vis"}]}', "json: panels[0].grid is missing or null; expected an object"),
        ('{"title": "t", "panels": [{"type": "vis", "grid": {}}]}', "json: panels[0].config is missing or null"),
        ('{"title": "t", "panels": [{"grid": {}, "panels": [[]]}]}', "json: panels[0].panels[0] is a list"),
        ('{"title": "t", "pinned_panels": [{"id": "a"}]}', "json: pinned_panels[0].type is missing or null"),
        ('{"title": "t", "options": ' + "[" * 90 + "]" * 90 + "}", "json is nested deeper than 64 levels"),
    ],
)
def test_invalid_dashboard_file_is_rejected_in_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "inferlog-broken.json"
    path.write_text(text)
    with pytest.raises(OperatorError) as refused:
        files.read(path)
    assert f"dashboards/inferlog-broken.{said}" in str(refused.value)
