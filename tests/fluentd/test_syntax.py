from pathlib import Path

import pytest

from tests.fluentd.syntax import read


def write_configuration(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "fluent.conf"
    path.write_text(text)
    return path


def test_parser_reads_sections_settings_and_includes(tmp_path: Path) -> None:
    (tmp_path / "more.conf").write_text(
        "size \"#{ENV['SIZE'] || '4m'}\"\n<buffer tag>\n  # why\n  mode fast\n</buffer>\n"
    )
    root = read(write_configuration(tmp_path, "<match a.**>\n  @id out\n  @include more.conf\n</match>\n"))
    (match,) = root.sections
    assert (match.name, match.argument, match.id, match["size"]) == ("match", "a.**", "out", "4m")
    assert match.settings["size"].variables == ("SIZE",)
    assert match.get_inner("buffer")["mode"] == "fast"
    assert [each.name for each in root.walk()] == ["", "match", "buffer"]


def test_setting_without_default_has_no_value(tmp_path: Path) -> None:
    value = read(write_configuration(tmp_path, "ca \"#{ENV['CA'] || use_nil}\"\n")).settings["ca"]
    assert (value.text, value.variables) == (None, ("CA",))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<a>\n", "<a> is not closed"),
        ("</a>\n", "fluent.conf:1: </a> closes nothing"),
        ("<a>\n</b>\n", "fluent.conf:2: </b> closes nothing"),
        ("a 1\na 2\n", "fluent.conf:2: a is repeated"),
    ],
)
def test_parser_rejects_invalid_configuration(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read(write_configuration(tmp_path, text))
