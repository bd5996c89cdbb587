"""scripts/up beside a docker command that only says what a real one would: what it waits for, and what it says."""

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
    """Runs the script; the last of the set-up has ended as *ended* says."""

    def run(*arguments: str, ended: str = "0", container: str = "0123abc") -> subprocess.CompletedProcess[str]:
        told = {"CALLS": str(checkout / "calls"), "ENDED": ended, "CONTAINER": container}
        return subprocess.run(
            [checkout / "scripts" / "up", *arguments],
            env={**os.environ, **told, "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def test_it_says_where_kibana_answers_once_the_dashboards_are_there(up: Up, checkout: Path) -> None:
    done = up("--scale", "app=3")
    assert done.returncode == 0, done.stderr
    assert "https://localhost:15601" in done.stdout
    assert (checkout / "calls").read_text().splitlines()[:3] == [
        "compose up --build --detach --wait --scale app=3",
        "compose ps --all --quiet provision-kibana",
        "wait 0123abc",
    ]


def test_a_kibana_without_dashboards_is_no_success(up: Up) -> None:
    done = up(ended="1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Kibana refuses a dashboard" in done.stderr
    assert "scripts/up again" in done.stderr


def test_a_part_of_the_stack_without_it_is_not_waited_for(up: Up, checkout: Path) -> None:
    assert up("app", container="").returncode == 0
    assert "wait" not in [call.split()[0] for call in (checkout / "calls").read_text().splitlines()]
