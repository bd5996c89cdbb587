"""Composition of the engine: its modules, the locked list of their jars, and the check of files against it."""

import hashlib
import json
import tomllib
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.errors import OperatorError

SERVER = "server"
"""The part on the class path; every other part is a module with its own class loader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """
    A published file, pinned.

    Attributes:
        part: ``server``, or the name of the module it belongs to. A file that two modules need is listed twice.
        coordinates: ``group:artifact:version``.
        file: File name; the same name always has the same content.
        size_bytes: File size.
        sha256: Of its content, 64 hex digits.
    """

    part: str
    coordinates: str
    file: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """
    A part of Elasticsearch that is loaded in addition to the server.

    Attributes:
        name: Also the name of its folder.
        artifacts: ``group:artifact:version`` of its own jars; their dependencies are in the lock file.
        plugin_class: The class that Elasticsearch instantiates.
        extends: Modules whose classes it can use.
    """

    name: str
    artifacts: tuple[str, ...]
    plugin_class: str
    extends: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """
    Complete list of the code that the engine runs.

    Attributes:
        version: Of Elasticsearch.
        server_artifacts: ``group:artifact:version`` of the server.
        modules: In load order.
        jars: All files of all parts.
    """

    version: str
    server_artifacts: tuple[str, ...]
    modules: tuple[Module, ...]
    jars: tuple[Jar, ...]

    @cached_property
    def files(self) -> Mapping[str, Jar]:
        """Each file once, by its name."""
        return {jar.file: jar for jar in self.jars}

    @cached_property
    def name(self) -> str:
        """A short name that changes whenever any jar or module does."""
        return f"{self.version}-{hashlib.sha256(repr((self.modules, self.jars)).encode()).hexdigest()[:12]}"


def load(folder: Path | None = None) -> Blueprint:
    """
    Read ``modules.toml`` and ``jars.lock`` from *folder*, by default from this installation.

    Raises:
        OperatorError: If the lock file is missing, is not readable, or was made from another ``modules.toml``.
    """
    folder = folder or find_asset_dir("infra/engine")
    plan = load_plan(folder)
    lock = folder / "jars.lock"
    try:
        content = json.loads(lock.read_bytes())
        jars = tuple(Jar(**jar) for jar in content["jars"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(f"{lock}: cannot be read ({error}); install inferlog again") from error
    if content["version"] != plan.version:
        raise OperatorError(
            f"{lock} is for Elasticsearch {content['version']}, modules.toml for {plan.version}; "
            "update the lock file with: python -m inferlog_ops.engine.relock"
        )
    return replace(plan, jars=jars)


def load_plan(folder: Path) -> Blueprint:
    """Read only ``modules.toml`` and return a blueprint without jars."""
    content = tomllib.loads((folder / "modules.toml").read_text())
    modules = tuple(
        Module(
            name=name,
            artifacts=tuple(module["artifacts"]),
            plugin_class=module["class"],
            extends=tuple(module["extends"]),
        )
        for name, module in content["modules"].items()
    )
    return Blueprint(version=content["version"], server_artifacts=tuple(content["server"]), modules=modules, jars=())


def format_lock(blueprint: Blueprint) -> str:
    """Return the content of ``jars.lock``: JSON with one jar per line, so that a diff shows one line per jar."""
    lines = ",\n".join(f"    {json.dumps(asdict(jar))}" for jar in blueprint.jars)
    made_by = "python -m inferlog_ops.engine.relock"
    return f'{{\n  "made_by": "{made_by}",\n  "version": "{blueprint.version}",\n  "jars": [\n{lines}\n  ]\n}}\n'


def is_intact(path: Path, jar: Jar) -> bool:
    """Return whether the file at *path* exists and has the locked content."""
    try:
        if path.stat().st_size != jar.size_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def find_damaged(files: Collection[tuple[Path, Jar]]) -> list[tuple[Path, Jar]]:
    """Return those of *files* that are missing or differ from the lock file."""
    # Hashing releases the GIL.
    with ThreadPoolExecutor() as pool:
        intact = pool.map(lambda file: is_intact(*file), files)
        return [file for file, good in zip(files, intact, strict=True) if not good]
