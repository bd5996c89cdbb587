"""
Parser of Fluentd's configuration files, for the subset of their syntax that is used here.

A value may read an environment variable with a default, in Ruby: ``"#{ENV['NAME'] || 'default'}"``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_OPENS = re.compile(r"<(\w+)(?:\s+(.+))?>$")
_CLOSES = re.compile(r"</(\w+)>$")
_FROM_ENVIRONMENT = re.compile(r"#\{ENV\['(?P<name>\w+)'\] \|\| '(?P<default>[^']*)'\}")
_FROM_ENVIRONMENT_OR_NOT_SET = re.compile(r"#\{ENV\['(?P<name>\w+)'\] \|\| use_nil\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """
    Value of a setting.

    Attributes:
        text: Text with the variables' defaults; None for a setting without a default.
        variables: Environment variables in the value.
        place: File and line.
    """

    text: str | None
    variables: tuple[str, ...]
    place: str


@dataclass(slots=True, kw_only=True)
class Section:
    """Section of the configuration, such as ``<match inferlog.**>``."""

    name: str
    argument: str
    settings: dict[str, Value] = field(default_factory=dict)
    sections: list["Section"] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Its ``@id``; empty for a section that is not a plugin."""
        found = self.settings.get("@id")
        return (found.text or "") if found else ""

    def __getitem__(self, name: str) -> str | None:
        """Return the value of the setting *name*."""
        return self.settings[name].text

    def get_inner(self, name: str) -> "Section":
        """Return the one section called *name* directly in this one."""
        (found,) = (each for each in self.sections if each.name == name)
        return found

    def walk(self) -> Iterator["Section"]:
        """Yield this section and all sections in it."""
        yield self
        for each in self.sections:
            yield from each.walk()


def read(path: Path) -> Section:
    """
    Parse *path* and its includes into one section without a name.

    Raises:
        ValueError: If the syntax is invalid or not supported.
    """
    root = Section(name="", argument="")
    _read_into([root], path)
    return root


def _read_into(open_sections: list[Section], path: Path) -> None:
    depth = len(open_sections)
    for number, raw in enumerate(path.read_text().splitlines(), start=1):
        line, place = raw.strip(), f"{path.name}:{number}"
        if not line or line.startswith("#"):
            continue
        if line.startswith("@include "):
            _read_into(open_sections, path.parent / line.removeprefix("@include ").strip())
        elif closes := _CLOSES.match(line):
            if len(open_sections) == depth or open_sections.pop().name != closes[1]:
                raise ValueError(f"{place}: {line} closes nothing")
        elif opens := _OPENS.match(line):
            section = Section(name=opens[1], argument=opens[2] or "")
            open_sections[-1].sections.append(section)
            open_sections.append(section)
        else:
            name, _, text = line.partition(" ")
            if name in open_sections[-1].settings:
                raise ValueError(f"{place}: {name} is repeated")
            open_sections[-1].settings[name] = _parse_value(text.strip(), place)
    if len(open_sections) != depth:
        raise ValueError(f"{path.name}: <{open_sections[-1].name}> is not closed")


def _parse_value(text: str, place: str) -> Value:
    if not (text.startswith('"') and text.endswith('"')):
        return Value(text=text, variables=(), place=place)
    text = text[1:-1]
    if absent := _FROM_ENVIRONMENT_OR_NOT_SET.fullmatch(text):
        return Value(text=None, variables=(absent["name"],), place=place)
    variables = tuple(match["name"] for match in _FROM_ENVIRONMENT.finditer(text))
    return Value(text=_FROM_ENVIRONMENT.sub(lambda match: match["default"], text), variables=variables, place=place)
