"""scripts/doctor as a process, with a docker command that simulates machines with problems."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Answers by the words of the question; the first that begins like it counts. What begins with "!" is a refusal.
HEALTHY = {
    "version": "28.2.2",
    "compose version": "2.39.1",
    "compose --project-directory . ps": "",
    "info --format {{.MemTotal}}": str(8 * 1024**3),
    "info --format {{.NCPU}}": "4",
    "info --format {{.DockerRootDir}}": "/nowhere/docker",
    "volume ls": "",
    "ps": "",
}
DOCKER = """#!{python}
import json, sys
question = " ".join(sys.argv[1:]).replace({checkout!r}, ".")
for words, answer in json.load(open({answers!r})).items():
    if question.startswith(words):
        if answer.startswith("!"):
            sys.exit(answer[1:])
        print(answer)
        sys.exit()
sys.exit("unknown question: " + question)
"""

Doctor = Callable[..., tuple[int, dict[str, Any]]]


def build_configuration(**ports: int) -> dict[str, Any]:
    """Return what `docker compose config` prints about the stack, with these ports."""
    published = dict.fromkeys(("elasticsearch", "kibana", "app"), 0) | ports
    services: dict[str, Any] = {
        name: {"ports": [{"published": str(port or free_port())}], "cpus": 2} for name, port in published.items()
    }
    services["elasticsearch"] |= {"image": "elasticsearch:9.5.3", "ulimits": {"nofile": 1024}}
    services["kibana"]["cpus"] = 1
    services["fluentd"] = {"cpus": 1, "environment": {"ELASTICSEARCH_MAJOR_VERSION": "9"}}
    return {"name": "inferlog", "services": services}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the doctor."""
    (tmp_path / "scripts/lib").mkdir(parents=True)
    for name in ("scripts/doctor", "scripts/lib/doctor.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def doctor(checkout: Path) -> Doctor:
    """Runs the doctor with *answers* of docker and this *stack*; returns its exit code and findings by name."""

    def run(answers: dict[str, str] | None = None, stack: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        folder = checkout / "bin"
        folder.mkdir(exist_ok=True)
        replies = folder / "answers.json"
        read = {"compose --project-directory . config": json.dumps(stack or build_configuration())}
        known = {**(answers or {}), **{k: v for k, v in (HEALTHY | read).items() if k not in (answers or {})}}
        replies.write_text(json.dumps(known))
        (folder / "docker").write_text(
            DOCKER.format(python=sys.executable, answers=str(replies), checkout=str(checkout))
        )
        (folder / "docker").chmod(0o755)
        done = subprocess.run(
            [checkout / "scripts" / "doctor", "--json"],
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert not done.stderr, done.stderr
        return done.returncode, {finding["about"]: finding for finding in json.loads(done.stdout)}

    return run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def list_failed(findings: dict[str, Any]) -> list[str]:
    return [about for about, finding in findings.items() if not finding["ok"]]


def test_healthy_machine_has_no_problem(doctor: Doctor) -> None:
    code, findings = doctor()
    mine = list_failed(findings)
    assert set(mine) <= {"vm.max_map_count"}, "which is this machine's own"
    assert code == bool(mine)


@pytest.mark.parametrize(
    ("answers", "about", "said"),
    [
        ({"version": "!Cannot connect to the Docker daemon"}, "docker", "start Docker"),
        ({"version": "20.10.21"}, "docker", "20.10.24 or newer"),
        ({"compose version": "!docker: unknown command"}, "docker compose", "docker-compose-plugin"),
        ({"compose version": "2.19.1"}, "docker compose", "2.20.0 or newer"),
        (
            {"compose --project-directory . config": "!invalid interpolation format for services.app.ports"},
            "configuration",
            "rejects it: invalid interpolation format",
        ),
        ({"info --format {{.MemTotal}}": str(2 * 1024**3)}, "memory", "4 GiB are needed"),
        ({"info --format {{.NCPU}}": "1"}, "processors", "ELASTICSEARCH_CPUS and APP_CPUS in .env to 1 at most"),
        ({"volume ls": "inferlog_elasticsearch-data"}, "volumes", "passwords are gone"),
        ({"ps": "elasticsearch:9.6.0\nkibana:9.6.0"}, "versions", "cannot be downgraded"),
    ],
)
def test_problem_is_reported_with_a_fix(doctor: Doctor, answers: dict[str, str], about: str, said: str) -> None:
    code, findings = doctor(answers)
    assert code == 1
    assert not findings[about]["ok"]
    assert said in findings[about]["says"]


def test_older_containers_of_an_upgrade_are_accepted(doctor: Doctor) -> None:
    _, findings = doctor({"ps": "elasticsearch:9.4.1\ninferlog-app:local"})
    assert findings["versions"]["ok"]


def test_engine_and_compose_that_ran_the_stack_are_accepted(doctor: Doctor) -> None:
    _, findings = doctor({"version": "20.10.24+dfsg1", "compose version": "2.20.0"})
    assert findings["docker"]["ok"]
    assert findings["docker compose"]["ok"]


def test_port_in_use_is_reported_with_its_setting(doctor: Doctor) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, findings = doctor(stack=build_configuration(kibana=port))
        assert (code, findings[f"port {port}"]["ok"]) == (1, False)
        assert "KIBANA_PORT" in findings[f"port {port}"]["says"]
        _, findings = doctor({"compose --project-directory . ps": "kibana"}, build_configuration(kibana=port))
        assert findings[f"port {port}"]["ok"], "kibana itself has it"


def test_port_of_a_profile_is_checked_if_compose_starts_it(doctor: Doctor) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, findings = doctor(stack=build_configuration(traffic=port))
        assert (code, findings[f"port {port}"]["ok"]) == (1, False)
        assert "TRAFFIC_PORT" in findings[f"port {port}"]["says"]


def test_first_port_of_a_range_is_checked(doctor: Doctor) -> None:
    stack, port = build_configuration(), free_port()
    stack["services"]["app"]["ports"] = [{"published": f"{port}-{port + 2}"}]
    _, findings = doctor(stack=stack)
    assert findings[f"port {port}"]["ok"]


def test_mismatched_versions_are_a_problem(doctor: Doctor) -> None:
    stack = build_configuration()
    stack["services"]["fluentd"]["environment"]["ELASTICSEARCH_MAJOR_VERSION"] = "8"
    _, findings = doctor(stack=stack)
    assert "make them 9.x and 9 in .env" in findings["versions"]["says"]
    assert not findings["versions"]["ok"]


def test_available_processors_are_accepted(doctor: Doctor) -> None:
    stack = build_configuration()
    for service in stack["services"].values():
        service["cpus"] = 0.5
    _, findings = doctor({"info --format {{.NCPU}}": "1"}, stack)
    assert findings["processors"]["ok"]


@pytest.mark.parametrize(
    ("hard", "capabilities", "ok"),
    [("1024", "0", True), ("1023", "0", False), ("unlimited", "0", True), ("1", "1000000", True)],
)
def test_limit_of_open_files_is_compared_with_that_of_the_engine(
    hard: str, capabilities: str, ok: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load_doctor()
    (tmp_path / "limits").write_text(
        f"Max processes  7  7  processes\nMax open files            1000      {hard}   files\n"
    )
    (tmp_path / "status").write_text(f"CapEff:\t{capabilities}\n")
    (tmp_path / "pid").write_text(str(tmp_path))
    monkeypatch.setattr(module, "ENGINE_PID_FILE", tmp_path / "pid")
    read = build_configuration()
    found = module.find_open_files(module.Stack(name=read["name"], services=read["services"]))
    assert found.ok is ok
    assert ok or found.detail.startswith(
        "Docker's own limit is 1023, and Elasticsearch gets 1024: set ELASTICSEARCH_OPEN"
    )


def load_doctor() -> Any:
    spec = importlib.util.spec_from_file_location("doctor", ROOT / "scripts/lib/doctor.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["doctor"] = module
    spec.loader.exec_module(module)
    return module


def test_failed_check_is_not_a_problem(doctor: Doctor) -> None:
    _, findings = doctor({"volume ls": "!permission denied"})
    assert findings["volumes"]["ok"]
    assert "permission denied" in findings["volumes"]["says"]


def test_missing_docker_command_ends_the_checks(checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, checkout / "scripts/lib/doctor.py"],
        env={"PATH": str(checkout)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "FIX  docker: the docker command is missing; install Docker Engine or Docker Desktop\n"


def run_beside_a_docker_that_notes(checkout: Path, script: str, *arguments: str, status: int) -> tuple[int, str]:
    """Run *script* with a docker command that exits with *status*; return the exit code and stderr."""
    shutil.copy(ROOT / "scripts" / script, checkout / "scripts" / script)
    (checkout / "docker-compose.yml").touch()
    folder = checkout / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "docker").write_text(f'#!/bin/sh\necho "$@" >> {checkout / "called"}\nexit {status}\n')
    (folder / "docker").chmod(0o755)
    done = subprocess.run(
        [checkout / "scripts" / script, *arguments],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_up_starts_nothing_with_a_problem(checkout: Path) -> None:
    code, said = run_beside_a_docker_that_notes(checkout, "up", status=1)
    assert code == 1
    assert "nothing was started" in said
    assert (checkout / "called").read_text().splitlines() == ["version --format {{.Server.Version}}"]


def test_down_deletes_data_only_with_its_option(checkout: Path) -> None:
    for arguments in ([], ["--delete-data"], ["--wrong"]):
        run_beside_a_docker_that_notes(checkout, "down", *arguments, status=0)
    called = (checkout / "called").read_text().splitlines()
    assert called == ["compose --profile * down", "compose --profile * down --volumes"]
