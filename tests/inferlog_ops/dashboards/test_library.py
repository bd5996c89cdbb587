from pathlib import Path

import pytest

from inferlog_ops.dashboards import library
from inferlog_ops.errors import OperatorError


def test_landing_page_comes_first() -> None:
    assert next(iter(library.load_all())) == library.LANDING_PAGE


def test_dashboard_is_found_by_its_files_name() -> None:
    assert library.find("inferlog-overview").title == "Inference overview"


def test_unknown_dashboard_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(OperatorError, match="did you mean inferlog-overview") as refused:
        library.find("inferlog-overvew")
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"title": 3}'])
def test_file_that_is_no_dashboard_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "inferlog-broken.json"
    path.write_text(text)
    with pytest.raises(OperatorError, match=r"dashboards/inferlog-broken\.json is no"):
        library.read(path)
