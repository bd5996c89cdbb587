import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.engine import blueprint
from inferlog_ops.engine.blueprint import SERVER


@pytest.fixture(scope="module")
def plan() -> blueprint.Blueprint:
    return blueprint.load()


def test_every_part_has_its_own_artifacts_in_the_lock_file(plan: blueprint.Blueprint) -> None:
    locked = {(jar.part, jar.coordinates) for jar in plan.jars}
    wanted = {(SERVER, coordinates) for coordinates in plan.server_artifacts}
    wanted |= {(module.name, coordinates) for module in plan.modules for coordinates in module.artifacts}
    assert wanted <= locked
    assert {part for part, _ in locked} == {part for part, _ in wanted}


def test_every_jar_is_pinned_by_version_size_and_sha256(plan: blueprint.Blueprint) -> None:
    for jar in plan.jars:
        assert jar.coordinates.split(":")[2] in jar.file
        assert jar.size_bytes > 0
        assert len(bytes.fromhex(jar.sha256)) == 32


def test_one_file_name_means_one_content(plan: blueprint.Blueprint) -> None:
    contents = defaultdict(set)
    for jar in plan.jars:
        contents[jar.file].add((jar.coordinates, jar.size_bytes, jar.sha256))
    assert [file for file, seen in contents.items() if len(seen) > 1] == []


def test_module_excludes_jars_it_already_sees(plan: blueprint.Blueprint) -> None:
    """Elasticsearch refuses to start if a class is visible twice."""
    artifacts = defaultdict(set)
    for jar in plan.jars:
        artifacts[jar.part].add(":".join(jar.coordinates.split(":")[:2]))
    for module in plan.modules:
        visible = artifacts[SERVER].union(*(artifacts[parent] for parent in module.extends))
        assert artifacts[module.name] & visible == set()


def test_lock_file_round_trips(plan: blueprint.Blueprint) -> None:
    assert blueprint.format_lock(plan) == (find_asset_dir("infra/engine") / "jars.lock").read_text()


def test_the_name_changes_with_any_jar(plan: blueprint.Blueprint) -> None:
    other = replace(plan, jars=(replace(plan.jars[0], sha256="0" * 64), *plan.jars[1:]))
    assert other.name != plan.name
    assert other.name.startswith(plan.version)


@pytest.mark.parametrize("damage", ["not json", "{}", '{"version": "8.19.21", "jars": [{"part": "server"}]}'])
def test_damaged_lock_file_is_reported(tmp_path: Path, damage: str) -> None:
    folder = _copy_of_infra(tmp_path)
    (folder / "jars.lock").write_text(damage)
    with pytest.raises(OperatorError, match=r"jars\.lock: cannot be read"):
        blueprint.load(folder)


def test_lock_file_of_another_version_is_rejected(tmp_path: Path) -> None:
    folder = _copy_of_infra(tmp_path)
    lock = json.loads((folder / "jars.lock").read_text()) | {"version": "8.0.0"}
    (folder / "jars.lock").write_text(json.dumps(lock))
    with pytest.raises(OperatorError, match=r"is for Elasticsearch 8\.0\.0, .*relock"):
        blueprint.load(folder)


def _copy_of_infra(tmp_path: Path) -> Path:
    for name in ("modules.toml", "jars.lock"):
        (tmp_path / name).write_bytes((find_asset_dir("infra/engine") / name).read_bytes())
    return tmp_path
