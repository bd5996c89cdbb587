"""Unusual paths in every setting and option: an error in one sentence, and no file outside of its directory."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import inferlog
from inferlog.settings import Settings, SettingsError
from inferlog_ops.cli.command_list import app
from inferlog_ops.core.exits import run_command
from inferlog_traffic.bodies import read_prompts
from inferlog_traffic.records import RecordFile

pytestmark = pytest.mark.timeout(20)  # reading from a pipe would block forever

ODD: dict[str, Callable[[Path], str]] = {
    "a pipe": lambda root: _make(os.mkfifo, root / "pipe"),
    "a directory": lambda root: _make(os.mkdir, root / "directory"),
    "a file": lambda root: _make(Path.touch, root / "file"),
    "a device": lambda _: "/dev/zero",
    "the root": lambda _: "/",
    "beneath a file": lambda root: f"{_make(Path.touch, root / 'file')}/x",
    "a loop of links": lambda root: _make(lambda path: path.symlink_to(path), root / "loop"),
    "a link to nothing": lambda root: _make(lambda path: path.symlink_to(root / "gone"), root / "dangling"),
    "a name of 5 000 characters": lambda _: "x" * 5_000,
    "control characters": lambda root: f"{root}/\x1b[31m\n\u2028",
    "no UTF-8": lambda root: f"{root}/\udcff",
    "a path that is not writable": lambda _: "/proc/inferlog",
}


def _make(make: Callable[[Path], object], path: Path) -> str:
    if not os.path.lexists(path):
        make(path)
    return str(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def outside(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working directory of the commands, which must stay unchanged; temporary files are elsewhere."""
    folder = root / "outside"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["inferlog", *arguments])
    return run_command(app, "inferlog")


NOWHERE = "http://127.0.0.1:1"
COMMANDS: dict[str, tuple[str, ...]] = {
    "ship --from": ("ship", "--once", "--timeout=0.2", "--state=state", f"--to={NOWHERE}", "--from"),
    "ship --state": ("ship", "--once", "--timeout=0.2", "--from=.", f"--to={NOWHERE}", "--state"),
    "ship --stats-file": (
        "ship",
        "--once",
        "--timeout=0.2",
        "--from=.",
        "--state=state",
        f"--to={NOWHERE}",
        "--stats-file",
    ),
    "redrive --from": ("redrive", "--list", "--from"),
    "audit verify --files": ("audit", "verify", "--files"),
    "audit verify --key-file": ("audit", "verify", "--files=.", "--key-file"),
    "provision --kibana-bodies": ("provision", "--kibana-bodies"),
    "engine status --home": ("engine", "status", "--home"),
    "query --home": ("query", "p99_latency", "--home"),
    "preview --home": ("preview", "--home"),
    "reconcile": ("reconcile", f"--url={NOWHERE}", "--"),
}
MAY_BE_MADE = {"provision --kibana-bodies", "ship --state"}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("command", COMMANDS)
def test_option_path_is_used_or_rejected_in_one_sentence(
    command: str,
    odd: str,
    root: Path,
    outside: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if odd == "the root" and command in {"audit verify --files", "engine status --home", "ship --from"}:
        pytest.skip("it would search the whole machine, as requested")
    if odd == "a pipe" and command in {"audit verify --key-file", "reconcile"}:
        pytest.skip("input may come through a pipe, which its writer closes")
    if odd == "a device" and command == "ship --stats-file":
        pytest.skip("if it were not refused, as a pipe is, this machine would have a file in its place")
    path = ODD[odd](root)
    code = run(monkeypatch, *COMMANDS[command], path)
    said = capsys.readouterr()
    assert code in {0, 1, 2, 3}, said
    assert not code or said.err.strip() or said.out.strip()
    assert "Traceback" not in said.err
    assert not set(said.err) & {"\x1b", "\x00", "\u2028"}


@pytest.mark.parametrize("odd", ["a pipe", "a directory", "the root"])
def test_figures_replace_only_a_regular_file(
    odd: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "ship", "--once", "--timeout=0.2", f"--to={NOWHERE}", "--stats-file", ODD[odd](root)) == 2
    assert "Invalid value for '--stats-file'" in capsys.readouterr().err


@pytest.mark.parametrize("odd", ODD)
def test_prompts_are_read_or_rejected_in_one_sentence(odd: str, root: Path, outside: Path) -> None:
    if odd == "a pipe":
        pytest.skip("prompts may come through a pipe, which its writer ends")
    with pytest.raises(ValueError, match="cannot be read as prompts|contains no prompts|is larger than 1 MiB"):
        read_prompts(Path(ODD[odd](root)))


@pytest.mark.parametrize("odd", ODD)
def test_load_generator_records_only_into_a_file(odd: str, root: Path, outside: Path) -> None:
    try:
        RecordFile(Path(ODD[odd](root))).close()
    except OSError:
        assert odd not in {"a file", "a link to nothing", "control characters", "no UTF-8"}
    else:
        assert odd in {"a file", "a link to nothing", "control characters", "no UTF-8"}


@pytest.mark.parametrize("odd", ODD)
def test_slo_file_is_read_or_rejected_in_one_sentence(
    odd: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFERLOG_SLO_FILE", ODD[odd](root))
    assert run(monkeypatch, "alerts", "list") == 2
    said = capsys.readouterr().err
    assert said.startswith("inferlog: the file of service levels ")
    assert said.count("\n") == (2 if odd == "control characters" else 1)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("setting", ["audit_key_file", "client_id_key_file", "price_file"])
def test_key_file_is_read_or_rejected_in_one_sentence(setting: str, odd: str, root: Path) -> None:
    if odd == "a pipe":
        pytest.skip("a key may come through a pipe, which its writer closes")
    settings: dict[str, Any] = {setting: ODD[odd](root)}
    with pytest.raises(SettingsError, match=setting):
        inferlog.configure(service_name="s", log_dir=root / "logs", **settings)


@pytest.mark.parametrize("odd", ODD)
def test_log_directory_is_used_or_rejected_without_stopping_the_service(odd: str, root: Path) -> None:
    if odd == "the root":
        pytest.skip("as root the files would lie there")
    path = ODD[odd](root)
    try:
        inferlog.configure(service_name="s", log_dir=path)
    except SettingsError as refused:
        assert "log_dir" in str(refused)  # noqa: PT017
        return
    with inferlog.track_performance("p"):
        pass
    inferlog.shutdown()


NAMES = ["../../escaped", "/etc/passwd", "..", ".", "a\x00b", "a\nb\x1b[31m", "…", "x" * 256, "-rf", "*"]


@pytest.mark.parametrize("name", NAMES)
def test_service_name_becomes_one_file_name_in_its_directory(name: str, root: Path, outside: Path) -> None:
    inferlog.configure(service_name=name, log_dir=root / "deep" / "logs")
    with inferlog.track_performance("p"):
        pass
    inferlog.shutdown()
    found = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    assert found
    assert {path.parent for path in found} == {Path("deep/logs")}
    assert any(path.name.startswith("events-") and path.name.isascii() and path.name.isprintable() for path in found)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", [*NAMES[:-1], "*", "a,b", "logs-*", "-x", "_all", "<a>", "A", ".kibana"])
@pytest.mark.parametrize("command", [("query", "p99_latency"), ("trace", "x"), ("preview",), ("alerts", "check")])
def test_namespace_is_part_of_a_stream_name_and_not_a_pattern(
    name: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *command, f"--url={NOWHERE}", f"--namespace={name}") == 2
    assert "the namespace is" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*NAMES, "p99_latency.esql", "../queries/p99_latency", "p99_latency\n"])
@pytest.mark.parametrize("command", [("query",), ("alerts", "check", f"--url={NOWHERE}", "--rule")])
def test_name_is_looked_up_and_never_opened(
    name: str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    option = [*command[:-1], f"{command[-1]}={name}"] if command[-1].startswith("--") else [*command, "--", name]
    assert run(monkeypatch, *option) == 2
    assert "there is no " in capsys.readouterr().err


def test_kibana_body_folders_are_not_cleared_through_links(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    precious = root / "precious"
    precious.write_text("precious")
    folder = root / "bodies"
    folder.mkdir()
    (folder / "001_PUT_api.x.json").symlink_to(precious)
    assert run(monkeypatch, "provision", f"--kibana-bodies={folder}") == 0
    assert precious.read_text() == "precious"
    os.unlink(folder / "send.sh")  # noqa: PTH108
    os.mkfifo(folder / "send.sh")
    assert run(monkeypatch, "provision", f"--kibana-bodies={folder}") == 2
    assert "send.sh" in capsys.readouterr().err


def test_settings_do_not_include_an_instance_id() -> None:
    """The id is generated, so it needs no validation as a part of a file name."""
    assert "instance_id" not in Settings.__dataclass_fields__
