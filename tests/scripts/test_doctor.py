"""scripts/doctor as a process, with a docker command that simulates machines with problems."""

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
    "compose --project-directory": "",
    "info --format {{.MemTotal}}": str(8 * 1024**3),
    "info --format {{.NCPU}}": "4",
    "info --format {{.DockerRootDir}}": "/nowhere/docker",
    "volume ls": "",
    "ps": "",
}
DOCKER = """#!{python}
import json, sys
question = " ".join(sys.argv[1:])
for words, answer in json.load(open({answers!r})).items():
    if question.startswith(words):
        if answer.startswith("!"):
            sys.exit(answer[1:])
        print(answer)
        sys.exit()
sys.exit("unknown question: " + question)
"""

Doctor = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the doctor reads, with ports that are free."""
    (tmp_path / "scripts/lib").mkdir(parents=True)
    for name in ("scripts/doctor", "scripts/lib/doctor.py", ".env.example"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def doctor(checkout: Path) -> Doctor:
    """Runs the doctor with *answers* of docker and *settings* in .env; returns its exit code and findings by name."""

    def run(answers: dict[str, str] | None = None, **settings: str) -> tuple[int, dict[str, Any]]:
        folder = checkout / "bin"
        folder.mkdir(exist_ok=True)
        replies = folder / "answers.json"
        replies.write_text(
            json.dumps({**(answers or {}), **{k: v for k, v in HEALTHY.items() if k not in (answers or {})}})
        )
        (folder / "docker").write_text(DOCKER.format(python=sys.executable, answers=str(replies)))
        (folder / "docker").chmod(0o755)
        ports = {name: str(free_port()) for name in ("ELASTICSEARCH_PORT", "KIBANA_PORT", "APP_PORTS")}
        (checkout / ".env").write_text("".join(f"{name}={value}\n" for name, value in (ports | settings).items()))
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


def in_the_way(findings: dict[str, Any]) -> list[str]:
    return [about for about, finding in findings.items() if not finding["ok"]]


def test_healthy_machine_has_no_problem(doctor: Doctor) -> None:
    code, findings = doctor()
    mine = in_the_way(findings)
    assert set(mine) <= {"vm.max_map_count"}, "which is this machine's own"
    assert code == bool(mine)


@pytest.mark.parametrize(
    ("answers", "about", "said"),
    [
        ({"version": "!Cannot connect to the Docker daemon"}, "docker", "start Docker"),
        ({"version": "20.10.21"}, "docker", "24.0 or newer"),
        ({"compose version": "!docker: unknown command"}, "docker compose", "docker-compose-plugin"),
        ({"compose version": "2.3.3"}, "docker compose", "2.24.4 or newer"),
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


def test_port_in_use_is_reported_with_its_setting(doctor: Doctor) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, findings = doctor(KIBANA_PORT=str(port))
        assert (code, findings[f"port {port}"]["ok"]) == (1, False)
        assert "KIBANA_PORT" in findings[f"port {port}"]["says"]
        _, findings = doctor({"compose --project-directory": "kibana"}, KIBANA_PORT=str(port))
        assert findings[f"port {port}"]["ok"], "kibana itself has it"


def test_port_of_a_profile_is_checked_only_with_the_profile(doctor: Doctor) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        _, findings = doctor(TRAFFIC_PORT=port)
        assert f"port {port}" not in findings
        code, findings = doctor(TRAFFIC_PORT=port, COMPOSE_PROFILES="canary,traffic")
        assert (code, findings[f"port {port}"]["ok"]) == (1, False)
        assert "TRAFFIC_PORT" in findings[f"port {port}"]["says"]


def test_mismatched_versions_are_a_problem(doctor: Doctor) -> None:
    _, findings = doctor(ELASTICSEARCH_MAJOR_VERSION="8")
    assert "make the second 9" in findings["versions"]["says"]
    assert not findings["versions"]["ok"]


def test_available_processors_are_accepted(doctor: Doctor) -> None:
    _, findings = doctor({"info --format {{.NCPU}}": "1"}, ELASTICSEARCH_CPUS="1", APP_CPUS="0.5")
    assert findings["processors"]["ok"]


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
