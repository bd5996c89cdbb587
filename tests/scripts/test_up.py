"""scripts/up with a docker command that simulates the output of a real one."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKER = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
    "compose ps "*) echo "$CONTAINER" ;;
    "wait "*) echo "$ENDED" ;;
    "compose logs "*) echo "Kibana refuses a dashboard" ;;
    "compose port kibana 5601") echo 127.0.0.1:15601 ;;
    "compose port app 8000") echo 127.0.0.1:18000 ;;
esac
"""

Up = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which nothing is in the way, with a docker command of ours."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".env.example").touch()
    shutil.copy(ROOT / "scripts" / "up", tmp_path / "scripts" / "up")
    for path, text in (("scripts/doctor", "#!/bin/sh\n"), ("bin/docker", DOCKER)):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(0o755)
    return tmp_path


@pytest.fixture
def up(checkout: Path) -> Up:
    """Runs the script; the last step of the set-up exits with *ended*."""

    def run(*arguments: str, ended: str = "0", container: str = "0123abc") -> subprocess.CompletedProcess[str]:
        variables = {"CALLS": str(checkout / "calls"), "ENDED": ended, "CONTAINER": container}
        return subprocess.run(
            [checkout / "scripts" / "up", *arguments],
            env={**os.environ, **variables, "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def test_up_prints_the_address_of_kibana_after_provisioning(up: Up, checkout: Path) -> None:
    done = up("--scale", "app=3")
    assert done.returncode == 0, done.stderr
    assert "https://localhost:15601" in done.stdout
    assert (checkout / "calls").read_text().splitlines()[:3] == [
        "compose up --build --detach --wait --scale app=3",
        "compose ps --all --quiet provision-kibana",
        "wait 0123abc",
    ]


def test_up_fails_without_dashboards(up: Up) -> None:
    done = up(ended="1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Kibana refuses a dashboard" in done.stderr
    assert "scripts/up again" in done.stderr


def test_up_does_not_wait_for_unselected_services(up: Up, checkout: Path) -> None:
    assert up("app", container="").returncode == 0
    assert "wait" not in [call.split()[0] for call in (checkout / "calls").read_text().splitlines()]
