"""Engines of their own: started, stopped, killed. Each start takes seconds, so a test goes some way with one."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jpype
import psutil
import pytest

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.home import Home
from inferlog_ops.engine import control, presence
from tests.support.commands import begin, run
from tests.support.polling import wait_until


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Home]:
    """A home without an engine; one that is started on it ends with the test."""
    home = Home(tmp_path / "a höme: [x]")
    yield home
    control.stop(home.engine)


@pytest.fixture
def packages_beyond_ascii(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JPype as it is installed in an environment whose path has letters beyond ASCII."""
    installed, copied = Path(jpype.__file__).parents[1], tmp_path / "umgebüng"
    shutil.copytree(installed / "jpype", copied / "jpype")
    for name in ("_jpype.so", "org.jpype.jar"):
        shutil.copy(installed / name, copied)
    monkeypatch.setenv("PYTHONPATH", str(copied))


@pytest.mark.usefixtures("packages_beyond_ascii")
def test_start_status_and_stop_print_their_results(own_home: Home) -> None:
    started = run("engine", "start", "--home", own_home.root, "--port", 0, "--json")
    assert started.returncode == 0, started.stderr
    engine = json.loads(started.stdout)
    assert engine.keys() == {"url", "pid", "version"}
    assert engine["version"] == "8.19.21"
    assert "starting the engine" in started.stderr

    seen = run("engine", "status", "--home", own_home.root, "--json")
    assert seen.returncode == 0
    status = json.loads(seen.stdout)
    assert status["running"] is True
    assert {name: status[name] for name in engine} == engine
    assert status["documents"] == 0
    assert status["home"] == str(own_home.root)
    assert status["home_bytes"] >= status["engine_bytes"] > 50_000_000
    assert 0 <= status["uptime_seconds"] < 100

    assert find_addresses(engine["pid"]) == {"127.0.0.1"}
    assert psutil.Process(engine["pid"]).ppid() != os.getpid(), "the engine outlives the command that started it"

    stopped = run("engine", "stop", "--home", own_home.root, "--json")
    assert stopped.returncode == 0
    assert json.loads(stopped.stdout) == {"stopped": True}
    assert not is_alive(engine["pid"])
    assert "closed" in log_of(own_home)

    seen = run("engine", "status", "--home", own_home.root, "--json")
    assert seen.returncode == 3
    assert json.loads(seen.stdout)["running"] is False
    again = run("engine", "stop", "--home", own_home.root)
    assert (again.returncode, again.stdout) == (0, "not running\n")


def test_java_options_of_the_environment_reach_the_virtual_machine(cluster: Cluster) -> None:
    with cluster.build_client() as client:
        (engine,) = client.nodes.info(metric="jvm")["nodes"].values()
    assert set(os.environ["INFERLOG_ENGINE_JAVA_OPTIONS"].split()) <= set(engine["jvm"]["input_arguments"])


def test_acknowledged_documents_survive_kill_9_and_sigterm(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    first = control.start(own_home.engine)
    with Cluster(url=first.url).build_client() as client:
        for number in range(100):
            client.create(index="kept", id=str(number), document={"number": number})
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not presence.is_held(own_home.engine), what="the killed engine to be gone")
    assert (own_home.engine / "engine.json").exists(), "kill -9 leaves the file behind"
    assert control.find_running_url(own_home.engine) is None
    assert not control.stop(own_home.engine)

    second = control.start(own_home.engine, port=parse_port(first.url))
    assert second.url == first.url
    with Cluster(url=second.url).build_client() as client:
        assert client.count(index="kept")["count"] == 100
        client.create(index="kept", id="100", document={"number": 100})
    os.kill(second.pid, signal.SIGSTOP)
    monkeypatch.setattr(control, "_STOP_TIMEOUT_SECONDS", 0.1)
    with pytest.raises(OperatorError, match=rf"is still running .* kill -9 {second.pid}"):
        control.stop(own_home.engine)
    os.kill(second.pid, signal.SIGCONT)
    wait_until(lambda: not presence.is_held(own_home.engine), timeout_seconds=30, what="the engine to end")
    assert not (own_home.engine / "engine.json").exists()
    assert log_of(own_home).rstrip().endswith("closed")


def test_two_starts_at_once_on_one_home_print_the_same_engine(own_home: Home) -> None:
    commands = [begin("engine", "start", "--home", own_home.root, "--json") for _ in range(2)]
    ends = [(*command.communicate(timeout=120), command.returncode) for command in commands]
    assert [code for _, _, code in ends] == [0, 0], ends
    first, second = (json.loads(printed) for printed, _, _ in ends)
    assert first == second
    assert control.find_running_url(own_home.engine) == first["url"]


def test_start_waits_for_an_engine_that_is_stopping(own_home: Home) -> None:
    first = control.start(own_home.engine)
    os.kill(first.pid, signal.SIGTERM)
    wait_until(lambda: control.find_running_url(own_home.engine) is None, what="the engine to begin its end")
    second = control.ensure_running(own_home.engine)
    assert second.pid != first.pid
    assert control.find_running_url(own_home.engine) == second.url


def test_address_left_by_a_killed_engine_is_not_published_while_another_starts(own_home: Home) -> None:
    first = control.start(own_home.engine)
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not presence.is_held(own_home.engine), what="the killed engine to be gone")
    with presence.hold(own_home.engine):
        assert presence.find_running(own_home.engine) is None


def test_ctrl_c_during_start_leaves_no_process(own_home: Home) -> None:
    with begin("engine", "start", "--home", own_home.root) as command:
        pid = wait_until(lambda: find_starting_pid(own_home), timeout_seconds=30, what="the engine's process")
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=30) == 130
        assert not is_alive(pid)
        assert not presence.is_held(own_home.engine)


def test_engine_that_fails_during_start_reports_the_reason(own_home: Home) -> None:
    own_home.engine.mkdir(parents=True)
    (own_home.engine / "data").write_text("not a directory")
    with pytest.raises(OperatorError, match=r"ended with status 1 during its start: .*data.* its log: .*engine\.log"):
        control.start(own_home.engine)
    assert not presence.is_held(own_home.engine)


def test_impossible_heap_reports_the_reason(own_home: Home) -> None:
    with pytest.raises(OperatorError, match=r"during its start: Error .* VM / Could not reserve .* heap"):
        control.start(own_home.engine, heap="99999999g")


def is_alive(pid: int) -> bool:
    """A zombie, whose parent has not asked for its end yet, is dead."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def find_starting_pid(home: Home) -> int | None:
    return presence.read_holder_pid(home.engine) if presence.is_held(home.engine) else None


def find_addresses(pid: int) -> set[str]:
    listening = [socket for socket in psutil.Process(pid).net_connections("inet") if socket.status == "LISTEN"]
    assert listening
    return {socket.laddr.ip.removeprefix("::ffff:") for socket in listening}


def log_of(home: Home) -> str:
    return (home.engine / "logs/engine.log").read_text()


def parse_port(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_engine_stops_when_its_parent_is_killed(own_home: Home) -> None:
    starting = (
        "import sys; from pathlib import Path; from inferlog_ops.engine import control; "
        "print(control.start(Path(sys.argv[1]), ends_with_us=True).pid, flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", starting, own_home.engine], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with owner:
        assert owner.stdout
        pid = int(owner.stdout.readline())
        assert control.find_running_url(own_home.engine)
        owner.kill()
    wait_until(lambda: not presence.is_held(own_home.engine), 60, "the engine to end")
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
