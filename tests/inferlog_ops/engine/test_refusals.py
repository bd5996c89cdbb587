"""What the engine refuses, in one sentence and before anything is started."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home, find_cache_dir
from inferlog_ops.core.progress import ignore_progress
from inferlog_ops.engine import blueprint, control, disk, layout
from inferlog_ops.engine.layout import Layout
from tests.support.commands import run


@pytest.fixture
def laid_out(engine_url: str, tmp_path: Path) -> Layout:
    """A home with the engine's files, made from a cache that is full because the run's engine was started."""
    plan = blueprint.load()
    return layout.prepare(plan, tmp_path / "engine", find_cache_dir() / "jars", ignore_progress)


def test_second_engine_on_one_home_is_rejected(home: Home, engine_url: str) -> None:
    pid = json.loads((home.engine / "engine.json").read_text())["pid"]
    with pytest.raises(OperatorError, match=f"is in use by the engine with pid {pid} at {engine_url}"):
        control.start(home.engine)


@pytest.mark.parametrize("asked_for", ["any port", "its own port"])
def test_start_prints_the_address_of_an_engine_that_already_runs(asked_for: str, home: Home, engine_url: str) -> None:
    running = json.loads((home.engine / "engine.json").read_text())
    port = "0" if asked_for == "any port" else engine_url.rpartition(":")[2]
    started = run("engine", "start", "--home", home.root, "--port", port)
    assert started.returncode == 0, started.stderr
    assert started.stdout == f"Elasticsearch 8.19.21 answers at {engine_url} (pid {running['pid']})\n"
    started = run("engine", "start", "--home", home.root, "--port", port, "--json")
    assert started.returncode == 0, started.stderr
    assert json.loads(started.stdout) == {"url": engine_url, "pid": running["pid"], "version": "8.19.21"}


def test_start_reports_the_port_of_a_running_engine(home: Home, engine_url: str) -> None:
    refused = run("engine", "start", "--home", home.root, "--port", "1")
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert f"answers at {engine_url}, not on port 1" in refused.stderr
    assert "inferlog engine stop" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_port_in_use_is_reported(engine_url: str, tmp_path: Path) -> None:
    port = engine_url.rpartition(":")[2]
    refused = run("engine", "start", "--home", tmp_path, "--port", port)
    assert refused.returncode == 1
    assert f"port {port} on 127.0.0.1 is not available: Address already in use; choose another" in refused.stderr


def append_a_byte(laid_out: Layout) -> Path:
    changed = next(laid_out.server.glob("lucene-core-*.jar"))
    content = changed.read_bytes()
    changed.unlink()
    changed.write_bytes(content + b"\0")
    return changed


def change_a_byte(laid_out: Layout) -> Path:
    changed = next(laid_out.find_part("x-pack-esql").glob("x-pack-esql-8*.jar"))
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.unlink()
    changed.write_bytes(content)
    return changed


def change_the_plugin_class(laid_out: Layout) -> Path:
    changed = laid_out.find_part("x-pack-core") / "plugin-descriptor.properties"
    changed.write_text(changed.read_text().replace("XPackPlugin", "Other"))
    return changed


def remove_a_jar(laid_out: Layout) -> Path:
    missing = next(laid_out.find_part("transport-netty4").glob("netty-common-*.jar"))
    missing.unlink()
    return missing


def add_a_jar(laid_out: Layout) -> Path:
    extra = laid_out.server / "extra.jar"
    extra.write_bytes(b"")
    return extra


def add_a_folder_by_link(laid_out: Layout) -> Path:
    extra = laid_out.modules / "extra"
    extra.symlink_to(laid_out.find_part("x-pack-core"))
    return extra


@pytest.mark.parametrize(
    ("fault", "meddle"),
    [
        ("changed", append_a_byte),
        ("changed", change_a_byte),
        ("changed", change_the_plugin_class),
        ("missing", remove_a_jar),
        ("extra", add_a_jar),
        ("extra", add_a_folder_by_link),
    ],
)
def test_start_rejects_files_that_differ_from_the_lock_file(
    laid_out: Layout, tmp_path: Path, fault: str, meddle: Callable[[Layout], Path]
) -> None:
    meddled = meddle(laid_out)
    with pytest.raises(
        OperatorError, match="the engine was not started because its files differ from the lock file"
    ) as info:
        control.start(tmp_path / "engine")
    assert f"{fault}: {meddled};" in str(info.value)
    assert not (tmp_path / "engine/data").exists()


def test_many_faults_are_counted_rather_than_listed(laid_out: Layout, tmp_path: Path) -> None:
    for jar in laid_out.server.glob("*.jar"):
        jar.unlink()
    with pytest.raises(OperatorError, match=r"missing: .* and 34 more; find the cause"):
        control.start(tmp_path / "engine")


def test_deleted_layout_is_created_again(laid_out: Layout, tmp_path: Path) -> None:
    change_a_byte(laid_out)
    for path in sorted(laid_out.root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    laid_out.root.rmdir()
    again = layout.prepare(blueprint.load(), tmp_path / "engine", find_cache_dir() / "jars", ignore_progress)
    assert again == laid_out


def test_incomplete_layout_is_created_again(laid_out: Layout, tmp_path: Path) -> None:
    cut_short = laid_out.root.rename(laid_out.root.parent / ".draft-1")
    remove_a_jar(Layout(cut_short))
    layout.prepare(blueprint.load(), tmp_path / "engine", find_cache_dir() / "jars", ignore_progress)
    assert list(laid_out.root.parent.iterdir()) == [laid_out.root]


def test_existing_layout_needs_neither_cache_nor_network(
    laid_out: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFERLOG_MAVEN_MIRROR", "http://127.0.0.1:9")
    assert layout.prepare(blueprint.load(), tmp_path / "engine", tmp_path / "no cache", ignore_progress) == laid_out


def test_first_start_without_network_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERLOG_MAVEN_MIRROR", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    refused = run("engine", "start", "--home", tmp_path / "home")
    assert refused.returncode == 1
    assert "the engine's first start needs the network" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_full_disk_is_rejected_with_sizes(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"are free on this disk and the engine needs 1,000,000\.0 TB; make room"):
        disk.require_room(tmp_path / "not/there/yet", needed_bytes=10**18)


def test_full_disk_stops_a_first_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "measure_free_bytes", lambda _: 1_400_000_000)
    with pytest.raises(OperatorError, match=r"1\.4 GB are free on this disk and the engine needs 1\.5 GB"):
        control.start(tmp_path / "engine")
    assert not (tmp_path / "engine/lib").exists()


def test_full_disk_of_an_existing_home_is_a_warning(
    laid_out: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its events must stay format_bytes, and prunable."""
    said: list[str] = []
    (tmp_path / "engine/data").mkdir()
    add_a_jar(laid_out)
    monkeypatch.setattr(disk, "measure_free_bytes", lambda _: 1_400_000_000)
    with pytest.raises(OperatorError, match="extra"):
        control.start(tmp_path / "engine", report=said.append)
    assert "only 1.4 GB are free on this disk" in said[0]


def test_unwritable_home_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match=r"file/engine cannot be created: Not a directory; choose another"):
        control.start(tmp_path / "file/engine")


@pytest.mark.parametrize("heap", ["", "1", "1t", "-1g", "0g", "1g -Dx=y"])
def test_invalid_heap_size_is_rejected(tmp_path: Path, heap: str) -> None:
    with pytest.raises(OperatorError, match="expected a size such as 512m or 1g"):
        control.start(tmp_path / "engine", heap=heap)


def test_a_cluster_in_the_environment_is_used_instead(
    engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELASTICSEARCH_URL", engine_url)
    started = run("engine", "start", "--home", tmp_path / "home", "--json")
    assert started.returncode == 0
    assert json.loads(started.stdout) == {"url": engine_url, "pid": None, "version": "8.19.21"}
    assert not (tmp_path / "home").exists()
