"""Layout of the locked jars in the engine's home, verified before each start."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.engine.blueprint import SERVER, Blueprint, Module, find_damaged

_DESCRIPTOR = "plugin-descriptor.properties"
_FAULTS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of the files that the engine loads, all below *root*."""

    root: Path

    @property
    def server(self) -> Path:
        """The class path: every jar in it."""
        return self.root / SERVER

    @property
    def modules(self) -> Path:
        """One folder per module, as Elasticsearch's loader expects."""
        return self.root / "modules"

    def find_part(self, name: str) -> Path:
        """Return the folder of one part's jars."""
        return self.server if name == SERVER else self.modules / name


def locate_layout(engine_home: Path, blueprint: Blueprint) -> Layout:
    """Return the folder of *blueprint* in *engine_home*; each blueprint has its own."""
    return Layout(engine_home / "lib" / blueprint.name)


def prepare(blueprint: Blueprint, engine_home: Path, cache: Path, report: ReportProgress) -> Layout:
    """
    Lay out *blueprint* in *engine_home* unless it exists, from *cache* or the network, and verify every file.

    Raises:
        OperatorError: If a jar is not available, or an existing file is changed, missing or extra.
    """
    layout = locate_layout(engine_home, blueprint)
    if not layout.root.exists():
        # Only a first start pays for its imports.
        from inferlog_ops.engine.fetch import fetch_missing  # noqa: PLC0415

        fetch_missing(blueprint.files.values(), cache, report)
        try:
            _lay_out(blueprint, layout, cache)
        except OSError as error:
            raise OperatorError(f"{layout.root}: the engine cannot be laid out: {error.strerror}") from error
    verify(blueprint, layout)
    return layout


def verify(blueprint: Blueprint, layout: Layout) -> None:
    """
    Check that *layout* contains exactly the files of *blueprint*, each with its locked content.

    Raises:
        OperatorError: With the files that are changed, missing or extra.
    """
    jars = {layout.find_part(jar.part) / jar.file: jar for jar in blueprint.jars}
    descriptors = {
        layout.find_part(module.name) / _DESCRIPTOR: _format_descriptor(blueprint, module)
        for module in blueprint.modules
    }
    there = {path for path in layout.root.rglob("*") if path.is_symlink() or not path.is_dir()}
    wanted = jars.keys() | descriptors.keys()
    changed = {path for path, _ in find_damaged([(path, jar) for path, jar in jars.items() if path in there])}
    changed |= {path for path in there & descriptors.keys() if path.read_text() != descriptors[path]}
    faults = [
        *_format_faults("changed", changed),
        *_format_faults("missing", wanted - there),
        *_format_faults("extra", there - wanted),
    ]
    if faults:
        shown = ", ".join(faults[:_FAULTS_SHOWN])
        more = f" and {len(faults) - _FAULTS_SHOWN} more" if len(faults) > _FAULTS_SHOWN else ""
        raise OperatorError(
            f"the engine was not started because its files differ from the lock file: {shown}{more}; "
            f"find the cause, then delete {layout.root}: the next start lays it out again"
        )


def _format_faults(fault: str, paths: AbstractSet[Path]) -> Iterator[str]:
    return (f"{fault}: {path}" for path in sorted(paths))


def _lay_out(blueprint: Blueprint, layout: Layout, cache: Path) -> None:
    lib = layout.root.parent
    lib.mkdir(parents=True, exist_ok=True)
    for older in lib.iterdir():
        shutil.rmtree(older)
    # Under a temporary name until complete: a crash must not look like a file that was removed later.
    draft = Layout(Path(tempfile.mkdtemp(prefix=".draft-", dir=lib)))
    for jar in blueprint.jars:
        target = draft.find_part(jar.part) / jar.file
        target.parent.mkdir(parents=True, exist_ok=True)
        _link_or_copy(cache / jar.file, target)
    for module in blueprint.modules:
        (draft.find_part(module.name) / _DESCRIPTOR).write_text(_format_descriptor(blueprint, module))
    draft.root.replace(layout.root)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _format_descriptor(blueprint: Blueprint, module: Module) -> str:
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
