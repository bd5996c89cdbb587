"""
Update of ``jars.lock`` from ``modules.toml``: ``python -m inferlog_ops.engine.relock``.

Run it after a change of ``modules.toml``, read the difference, start the engine, run the tests.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from jgo.maven import Artifact, MavenContext

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.engine.blueprint import SERVER, Blueprint, Jar, format_lock, load_plan

# It silences the logging of a module; the server has the real implementation.
_EXCLUDED = {"slf4j-nop"}


def main() -> None:
    """Write the lock file in this checkout."""
    folder = find_asset_dir("infra/engine")
    plan = load_plan(folder)
    with tempfile.TemporaryDirectory(prefix="inferlog-relock-") as scratch:
        maven = MavenContext(repo_cache=Path(scratch), timeout=30)
        jars = tuple(lock_jars(plan, maven))
    lock = folder / "jars.lock"
    lock.write_text(format_lock(replace(plan, jars=jars)))
    files = {jar.file: jar.size_bytes for jar in jars}
    print(f"{lock}: {len(files)} files, {sum(files.values()) / 1e6:.1f} MB")


def lock_jars(plan: Blueprint, maven: MavenContext) -> Iterator[Jar]:
    """Yield every jar of every part, server first, each part by file name."""
    server = sorted(resolve(maven, plan.server_artifacts), key=_get_file)
    yield from (_lock_jar(SERVER, artifact) for artifact in server)
    seen = {SERVER: _collect_names(server) | _EXCLUDED}
    for module in plan.modules:
        # A class that is visible twice stops Elasticsearch ("jar hell"), at any version: a module omits the jars that
        # the server or a module it extends already has.
        hidden = seen[SERVER].union(*(seen[parent] for parent in module.extends))
        own = [item for item in resolve(maven, module.artifacts) if item.artifactId not in hidden]
        seen[module.name] = _collect_names(own)
        yield from (_lock_jar(module.name, artifact) for artifact in sorted(own, key=_get_file))


def resolve(maven: MavenContext, coordinates: Iterable[str]) -> list[Artifact]:
    """Return the jars at *coordinates* and their runtime dependencies."""
    wanted = [maven.create_dependency(coordinate) for coordinate in coordinates]
    inputs, needed = maven.resolver.resolve(wanted)
    return [
        dependency.artifact
        for dependency in (*inputs, *needed)
        if dependency.type == "jar" and dependency.scope in {None, "compile", "runtime"} and not dependency.optional
    ]


def _get_file(artifact: Artifact) -> str:
    return str(artifact.filename)


def _collect_names(artifacts: Iterable[Artifact]) -> set[str]:
    return {artifact.artifactId for artifact in artifacts}


def _lock_jar(part: str, artifact: Artifact) -> Jar:
    content = artifact.resolve().read_bytes()
    coordinates = [artifact.groupId, artifact.artifactId, artifact.version]
    if artifact.classifier:
        coordinates.append(artifact.classifier)
    return Jar(
        part=part,
        coordinates=":".join(coordinates),
        file=artifact.filename,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


if __name__ == "__main__":
    main()
