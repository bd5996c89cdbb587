"""Layers of docs/architecture.md: allowed imports between packages."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

APP = ROOT / "app"
FORBIDDEN = {
    "inferlog": ["inferlog_server", "inferlog_ops"],
    "inferlog_server": ["inferlog_ops"],
    "inferlog_server/inference": [
        *("inferlog", "inferlog_server.routes", "inferlog_server.settings"),
        *("fastapi", "starlette", "uvicorn"),
    ],
    "inferlog_server/routes": ["inferlog_server.app", "inferlog_server.settings", "os"],
    "inferlog_ops/core": [
        f"inferlog_ops.{package}"
        for package in ("cli", "demo", "engine", "preview", "provision", "query", "ship", "summarize")
    ],
    "inferlog_ops/engine": [
        f"inferlog_ops.{package}" for package in ("cli", "demo", "preview", "provision", "ship", "summarize")
    ],
    "inferlog_ops/provision": ["inferlog_ops.cli", "inferlog_ops.demo", "inferlog_ops.preview"],
    "inferlog_ops/query": ["inferlog_ops.cli", "inferlog_ops.demo", "inferlog_ops.preview"],
    "inferlog_ops/ship": ["inferlog_ops.cli", "inferlog_ops.demo", "inferlog_ops.preview"],
    "inferlog_ops/summarize": ["inferlog_ops.cli", "inferlog_ops.demo", "inferlog_ops.preview"],
    "inferlog_ops/preview": ["inferlog_ops.cli", "inferlog_ops.demo"],
    "inferlog_ops/demo": ["inferlog_ops.cli"],
    ".": ["tests", "benchmarks"],
}


def find_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_package_imports_nothing_of_a_layer_above(folder: str) -> None:
    assert any((APP / folder).rglob("*.py"))
    found = [
        f"{path.relative_to(APP)} imports {name}"
        for path in sorted((APP / folder).rglob("*.py"))
        for name in find_imports(path)
        for forbidden in FORBIDDEN[folder]
        if name == forbidden or name.startswith(f"{forbidden}.")
    ]
    assert not found, "see docs/architecture.md, Forbidden imports"


def test_command_line_loads_library_and_client_only_where_it_uses_them() -> None:
    unused = "{'inferlog', 'elasticsearch', 'numpy'}"
    code = f"import sys, inferlog_ops.cli.command_list; print(*{unused} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded == "\n"
