"""Dockerfiles and .dockerignore files, read as Docker reads them."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_OPTION = re.compile(r"--[a-z-]+(?:=\S+)?\s+")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name, its options such as ``--from=build``, and the rest."""

    name: str
    options: tuple[str, ...]
    text: str

    @property
    def is_exec_form(self) -> bool:
        """Whether it is in exec form, without a shell."""
        return self.text.startswith("[")

    @property
    def words(self) -> list[str]:
        """The words of it, in either form."""
        return list(json.loads(self.text)) if self.is_exec_form else self.text.split()


@dataclass(frozen=True)
class Dockerfile:
    """One Dockerfile and its build context."""

    path: Path
    context: Path

    @cached_property
    def instructions(self) -> list[Instruction]:
        """All of them in order."""
        text = re.sub(r"^[ \t]*#.*\n", "", self.path.read_text(), flags=re.MULTILINE)
        lines = re.sub(r"\\\n", " ", text).splitlines()
        return [_parse_instruction(line) for line in lines if line.strip()]

    @cached_property
    def stages(self) -> list[list[Instruction]]:
        """Instructions of each FROM; ARG before the first belongs to none."""
        stages: list[list[Instruction]] = []
        for instruction in self.instructions:
            if instruction.name == "FROM":
                stages.append([])
            if stages:
                stages[-1].append(instruction)
        return stages

    def list_instructions(self, name: str) -> list[Instruction]:
        """Return those of one name."""
        return [instruction for instruction in self.instructions if instruction.name == name]

    def list_admitted(self) -> set[str]:
        """Return the files of the build context, by path."""
        return set(_list_admitted(self.context))


def _parse_instruction(line: str) -> Instruction:
    name, _, rest = line.strip().partition(" ")
    options = []
    while match := _OPTION.match(rest := rest.lstrip()):
        options.append(match[0].strip())
        rest = rest[match.end() :]
    return Instruction(name.upper(), tuple(options), rest.strip())


def _list_admitted(context: Path) -> Iterator[str]:
    lines = (context / ".dockerignore").read_text().splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for folder, folders, files in os.walk(context):
        # Never part of the context, and too large to search.
        folders[:] = [name for name in folders if name not in {".git", ".venv", "node_modules"}]
        for name in files:
            path = (Path(folder) / name).relative_to(context).as_posix()
            if not is_ignored(path, patterns):
                yield path


def is_ignored(path: str, patterns: list[str]) -> bool:
    """Return the result of the last pattern that matches *path* or a parent folder."""
    ignored = False
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    for pattern in patterns:
        expression = _compile_pattern(pattern.removeprefix("!").strip("/"))
        if any(expression.fullmatch(each) for each in above):
            ignored = not pattern.startswith("!")
    return ignored


def _compile_pattern(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
    return re.compile(text.replace(r"\?", "[^/]"))
