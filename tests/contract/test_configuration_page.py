"""docs/configuration.md lists every setting with its default, and every environment variable."""

import inspect
import re
from dataclasses import fields
from pathlib import Path

import inferlog
from inferlog.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "configuration.md").read_text()


def format_default(default: object) -> str:
    if default in (None, ()):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{','.join(default)}`" if isinstance(default, tuple) else f"`{default}`"


def test_every_setting_is_listed_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (\S+) \|", PAGE, re.MULTILINE))
    defaults = {field.name: format_default(field.default) for field in fields(Settings)}
    assert rows == defaults, "docs/configuration.md has a row for each attribute of Settings"


def test_every_setting_can_be_given_to_configure() -> None:
    arguments = set(inspect.signature(inferlog.configure).parameters)
    assert arguments == {field.name for field in fields(Settings)}, "app/inferlog/configuration.py: configure()"


def test_every_setting_is_read_from_the_environment() -> None:
    environ = {f"{PREFIX}SERVICE_NAME": "x", f"{PREFIX}SINKS": "file, stdout", f"{PREFIX}HEARTBEAT_SECONDS": "0.5"}
    settings = Settings.read({}, environ)
    assert (settings.service_name, settings.sinks, settings.heartbeat_seconds) == ("x", ("file", "stdout"), 0.5)


def test_every_variable_that_the_commands_read_is_listed() -> None:
    of_the_commands = [path for path in (ROOT / "app/inferlog_ops").rglob("*.py") if "stack" not in str(path)]
    sources = [*of_the_commands, *(ROOT / "scripts").rglob("*.py"), *(ROOT / "scripts").glob("*.sh")]
    read = {
        name
        for source in sources
        for name in re.findall(r"\b((?:INFERLOG|ELASTICSEARCH|KIBANA)_[A-Z_]+)\b", source.read_text())
    }
    internal = {"INFERLOG_STARTED_AT"}
    of_the_containers = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    set_for_children = {f"{PREFIX}{field.name.upper()}" for field in fields(Settings)}
    mentioned = {name for name in read if not name.startswith("INFERLOG_SERVER_")}
    part = PAGE.partition("\n## The commands\n")[2]
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", part, re.MULTILINE))
    assert mentioned - internal - set_for_children - (of_the_containers - listed) == listed
