"""Browser of scripts/test: search and installation."""

import os
from pathlib import Path

import pytest

from scripts.lib import set_up_browser
from scripts.lib.set_up_browser import NoBrowserError, find


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without a browser; return the only folder on its PATH."""
    folder = tmp_path / "bin with space"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(set_up_browser, "find_playwright_path", lambda: str(tmp_path / "not-there"))
    return folder


def write_program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


SAYS_IT_IS_ONE = 'echo "Chromium 140.0"'


def test_configured_browser_is_used_first(
    nothing_installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(nothing_installed / "chromium", SAYS_IT_IS_ONE)
    named = write_program(tmp_path / "mine", SAYS_IT_IS_ONE)
    monkeypatch.setenv("INFERLOG_CHROMIUM", named)
    assert find() == named


def test_browser_on_path_is_used_before_playwright(
    nothing_installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_program(tmp_path / "own", SAYS_IT_IS_ONE)
    monkeypatch.setattr(set_up_browser, "find_playwright_path", lambda: own)
    assert find() == own
    on_path = write_program(nothing_installed / "google-chrome", "echo Google Chrome 140.0")
    assert find() == on_path


def test_stub_is_not_a_browser(nothing_installed: Path) -> None:
    write_program(nothing_installed / "chromium-browser", "echo 'install the chromium snap' >&2; exit 1")
    with pytest.raises(
        NoBrowserError, match=r"^there is no Chromium on this machine: install .* INFERLOG_CHROMIUM=/path"
    ):
        find()


@pytest.mark.parametrize("named", ["/no/such/browser", "/bin/true"])
def test_invalid_configured_browser_is_an_error(
    named: str, nothing_installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(nothing_installed / "chromium", SAYS_IT_IS_ONE)
    monkeypatch.setenv("INFERLOG_CHROMIUM", named)
    with pytest.raises(NoBrowserError, match=f"INFERLOG_CHROMIUM is '{named}', which does not run as a Chromium"):
        find()


def test_apt_is_used_first_where_it_is_allowed(nothing_installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [what for what, _ in set_up_browser.list_methods()] == ["Playwright's Chromium"]
    write_program(nothing_installed / "apt-get", "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert [what for what, _ in set_up_browser.list_methods()] == ["Debian's chromium", "Playwright's Chromium"]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert [what for what, _ in set_up_browser.list_methods()] == ["Playwright's Chromium"]  # no sudo
    write_program(nothing_installed / "sudo", "[ $1 = -n ]")
    (_, (update, install)), _ = set_up_browser.list_methods()
    assert update[:3] == install[:3] == ["sudo", "-n", "apt-get"]


def test_failed_method_is_followed_by_the_next(
    nothing_installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_up_browser, "LOG", tmp_path / "log")
    made = nothing_installed / "chromium"
    makes_it = ["/bin/sh", "-c", f"printf '#!/bin/sh\\necho Chromium 1\\n' > '{made}' && /bin/chmod +x '{made}'"]
    monkeypatch.setattr(
        set_up_browser,
        "list_methods",
        lambda: [("one", [["/bin/false"], makes_it]), ("two", [["/bin/true"]]), ("three", [makes_it])],
    )
    assert set_up_browser.main() == 0
    assert find() == str(made)


def test_missing_browser_is_one_sentence_and_exit_code_0(
    nothing_installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(set_up_browser, "list_methods", list)
    assert set_up_browser.main() == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith("; the tests of the preview page will fail\n")
