"""Puts the locked jars where the engine loads them from, and refuses to go on when any file there differs."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import Say
from inferlog_ops.engine.blueprint import SERVER, Blueprint, Module
from inferlog_ops.engine.integrity import differing

_DESCRIPTOR = "plugin-descriptor.properties"
_FAULTS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """The files the engine runs, below one folder of its home."""

    root: Path

    @property
    def server(self) -> Path:
        """The class path: every jar in it."""
        return self.root / SERVER

    @property
    def modules(self) -> Path:
        """One folder a module, as Elasticsearch's own loader reads them."""
        return self.root / "modules"

    def part(self, name: str) -> Path:
        """Return the folder of one part's jars."""
        return self.server if name == SERVER else self.modules / name


def layout_in(engine_home: Path, blueprint: Blueprint) -> Layout:
    """Return where *blueprint* is, or would be, laid out in *engine_home*: for each blueprint another folder."""
    return Layout(engine_home / "lib" / blueprint.name)


def prepare(blueprint: Blueprint, engine_home: Path, cache: Path, say: Say) -> Layout:
    """
    Lay out *blueprint* in *engine_home*, from *cache* or the network if it is not there yet, and check all of it.

    Raises:
        OperatorError: If a jar cannot be had, or a file that was laid out earlier is changed, missing or extra.
    """
    layout = layout_in(engine_home, blueprint)
    if not layout.root.exists():
        # Only a first start pays for its imports.
        from inferlog_ops.engine.fetch import fetch_missing  # noqa: PLC0415

        fetch_missing(blueprint.files.values(), cache, say)
        try:
            _lay_out(blueprint, layout, cache)
        except OSError as error:
            raise OperatorError(f"{layout.root}: the engine cannot be laid out: {error.strerror}") from error
    verify(blueprint, layout)
    return layout


def verify(blueprint: Blueprint, layout: Layout) -> None:
    """
    Check that *layout* holds exactly the blueprint's files, each with its locked content.

    Raises:
        OperatorError: Naming the files that are changed, missing or extra.
    """
    jars = {layout.part(jar.part) / jar.file: jar for jar in blueprint.jars}
    descriptors = {
        layout.part(module.name) / _DESCRIPTOR: _descriptor(blueprint, module) for module in blueprint.modules
    }
    there = {path for path in layout.root.rglob("*") if path.is_symlink() or not path.is_dir()}
    wanted = jars.keys() | descriptors.keys()
    changed = {path for path, _ in differing([(path, jar) for path, jar in jars.items() if path in there])}
    changed |= {path for path in there & descriptors.keys() if path.read_text() != descriptors[path]}
    faults = [*_named("changed", changed), *_named("missing", wanted - there), *_named("extra", there - wanted)]
    if faults:
        shown = ", ".join(faults[:_FAULTS_SHOWN])
        more = f" and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
        raise OperatorError(
            f"the engine was not started, because its files are not those of the lock file: {shown}{more}; "
            f"find out who did that, then delete {layout.root} to have them laid out anew"
        )


def _named(fault: str, paths: AbstractSet[Path]) -> Iterator[str]:
    return (f"{fault}: {path}" for path in sorted(paths))


def _lay_out(blueprint: Blueprint, layout: Layout, cache: Path) -> None:
    lib = layout.root.parent
    lib.mkdir(parents=True, exist_ok=True)
    for older in lib.iterdir():
        shutil.rmtree(older)
    # Under another name until complete: a crash half-way must not look like a file that someone removed.
    draft = Layout(Path(tempfile.mkdtemp(prefix=".draft-", dir=lib)))
    for jar in blueprint.jars:
        target = draft.part(jar.part) / jar.file
        target.parent.mkdir(parents=True, exist_ok=True)
        _link_or_copy(cache / jar.file, target)
    for module in blueprint.modules:
        (draft.part(module.name) / _DESCRIPTOR).write_text(_descriptor(blueprint, module))
    draft.root.replace(layout.root)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _descriptor(blueprint: Blueprint, module: Module) -> str:
    properties = {
        "name": module.name,
        "description": module.name,
        "version": blueprint.version,
        "elasticsearch.version": blueprint.version,
        "java.version": "17",
        "classname": module.plugin_class,
        "extended.plugins": ",".join(module.extends),
    }
    return "".join(f"{key}={value}\n" for key, value in properties.items())
