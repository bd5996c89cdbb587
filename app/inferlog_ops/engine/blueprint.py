"""What the engine is made of: its modules, and the one locked list of jars behind them."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.core.errors import OperatorError

SERVER = "server"
"""The part that lies on the class path; every other part is a module with a class loader of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """
    One published file, pinned.

    Attributes:
        part: ``server``, or the name of the module it belongs to. A file that two modules need is listed twice.
        coordinates: ``group:artifact:version``, as its publisher names it.
        file: Its name; the same name always means the same content.
        size_bytes: Its length.
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
    A part of Elasticsearch that is loaded beside the server.

    Attributes:
        name: Also the name of its folder.
        artifacts: ``group:artifact:version`` of what it consists of; what these depend on is in the lock file.
        plugin_class: The class that Elasticsearch creates.
        extends: Modules whose classes it sees.
    """

    name: str
    artifacts: tuple[str, ...]
    plugin_class: str
    extends: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """
    Everything that decides which code the engine runs.

    Attributes:
        version: Of Elasticsearch.
        server_artifacts: ``group:artifact:version`` of the server.
        modules: In the order in which they can be loaded.
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
    Read ``modules.toml`` and ``jars.lock`` from *folder*, this installation's own if not given.

    Raises:
        OperatorError: If the lock file is missing, is not readable, or was made from another ``modules.toml``.
    """
    folder = folder or asset_dir("infra/engine")
    plan = load_plan(folder)
    lock = folder / "jars.lock"
    try:
        content = json.loads(lock.read_bytes())
        jars = tuple(Jar(**jar) for jar in content["jars"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(f"{lock}: cannot be read ({error}); install inferlog again") from error
    if content["version"] != plan.version:
        raise OperatorError(
            f"{lock} is for Elasticsearch {content['version']}, modules.toml beside it for {plan.version}; "
            "make the lock file anew with: python -m inferlog_ops.engine.relock"
        )
    return replace(plan, jars=jars)


def load_plan(folder: Path) -> Blueprint:
    """Read ``modules.toml`` alone: a blueprint without jars."""
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


def lock_text(blueprint: Blueprint) -> str:
    """Return the content of ``jars.lock``: JSON with one jar a line, so that a change shows as one line."""
    lines = ",\n".join(f"    {json.dumps(asdict(jar))}" for jar in blueprint.jars)
    made_by = "python -m inferlog_ops.engine.relock"
    return f'{{\n  "made_by": "{made_by}",\n  "version": "{blueprint.version}",\n  "jars": [\n{lines}\n  ]\n}}\n'
