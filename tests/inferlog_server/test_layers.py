"""Import rules: inference imports neither HTTP nor logging, and the routes import no settings."""

import ast
from collections.abc import Iterator
from pathlib import Path

import inferlog_server

ROOT = Path(inferlog_server.__file__).parent


def imports(folder: str) -> Iterator[tuple[str, str]]:
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path.name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.module
                yield path.name, node.module


def test_inference_imports_neither_the_log_nor_the_web() -> None:
    foreign = ("inferlog", "fastapi", "starlette", "uvicorn", "inferlog_server.routes", "inferlog_server.settings")

    assert list(imports("inference"))
    for path, module in imports("inference"):
        assert not any(module == name or module.startswith(f"{name}.") for name in foreign), (path, module)


def test_routes_take_plain_arguments() -> None:
    for path, module in imports("routes"):
        assert module not in ("inferlog_server.settings", "inferlog_server.app", "os"), (path, module)
