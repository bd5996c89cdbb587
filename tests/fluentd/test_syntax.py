from pathlib import Path

import pytest

from tests.fluentd.syntax import read


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "fluent.conf"
    path.write_text(text)
    return path


def test_sections_settings_and_what_is_included_are_read(tmp_path: Path) -> None:
    (tmp_path / "more.conf").write_text(
        "size \"#{ENV['SIZE'] || '4m'}\"\n<buffer tag>\n  # why\n  mode fast\n</buffer>\n"
    )
    root = read(written(tmp_path, "<match a.**>\n  @id out\n  @include more.conf\n</match>\n"))
    (match,) = root.sections
    assert (match.name, match.argument, match.id, match["size"]) == ("match", "a.**", "out", "4m")
    assert match.settings["size"].variables == ("SIZE",)
    assert match.inner("buffer")["mode"] == "fast"
    assert [each.name for each in root.walk()] == ["", "match", "buffer"]


def test_a_setting_that_only_its_variable_brings_has_no_value(tmp_path: Path) -> None:
    root = read(
        written(tmp_path, "ca \"#{ENV['CA'] || use_nil}\"\nkey \"#{ENV['K'] ? File.read(ENV['K']) : use_nil}\"\n")
    )
    assert {name: (value.text, value.variables) for name, value in root.settings.items()} == {
        "ca": (None, ("CA",)),
        "key": (None, ("K",)),
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<a>\n", "<a> is not closed"),
        ("</a>\n", "fluent.conf:1: </a> closes nothing"),
        ("<a>\n</b>\n", "fluent.conf:2: </b> closes nothing"),
        ("a 1\na 2\n", "fluent.conf:2: a stands there twice"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read(written(tmp_path, text))
