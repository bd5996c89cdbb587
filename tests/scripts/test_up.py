"""scripts/up with a docker command that simulates the output of a real one."""

import fcntl
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
    "compose up "*) exit "${UP_ENDS_WITH:-0}" ;;
    "compose ps --quiet kibana") [ -z "$CONTAINER" ] || echo "$CONTAINER-kibana" ;;
    "compose ps --all --quiet "*) [ -z "$CONTAINER" ] || echo "$CONTAINER-$5" ;;
    "inspect "*"-provision") echo 2 ;;
    "inspect "*) echo 0 ;;
    "wait "*) echo "${READY_ENDS_WITH:-0}" ;;
    "compose logs "*" provision") echo "INFERLOG_RETENTION is 'a month'" ;;
    "compose logs "*" 5 ready") echo "inferlog: cannot read /secrets/operator" ;;
    "compose logs "*" ready") printf 'Kibana:   https://localhost:5601\\nuser:     operator\\npassword: see\\n' ;;
    "compose exec "*) exit "${TEST_OF_CERTIFICATE_ENDS_WITH:-1}" ;;
    "compose port app 8000") [ -n "${APP-yes}" ] || exit 1; echo 127.0.0.1:18000 ;;
esac
"""

Up = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without problems, with a docker command of ours."""
    (tmp_path / "scripts/lib").mkdir(parents=True)
    (tmp_path / "docker-compose.yml").touch()
    shutil.copy(ROOT / "scripts" / "up", tmp_path / "scripts" / "up")
    for path, text in (("scripts/doctor", "#!/bin/sh\n"), ("bin/docker", DOCKER)):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(0o755)
    return tmp_path


def build_environment(checkout: Path, **variables: str) -> dict[str, str]:
    return {
        **os.environ,
        "CALLS": str(checkout / "calls"),
        "CONTAINER": "0123abc",
        "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}",
        **variables,
    }


@pytest.fixture
def up(checkout: Path) -> Up:
    """Runs the script."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [checkout / "scripts" / "up", *arguments],
            env=build_environment(checkout, **variables),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def read_calls(checkout: Path) -> list[str]:
    return (checkout / "calls").read_text().splitlines()


def test_up_ends_with_address_user_and_password(up: Up, checkout: Path) -> None:
    done = up("--scale", "app=3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "the app:  http://127.0.0.1:18000/v1/chat/completions",
        "Kibana:   https://localhost:5601",
        "user:     operator",
        "password: see",
    ]
    assert read_calls(checkout)[0] == "compose up --build --detach --scale app=3"


@pytest.mark.parametrize(("exit_code", "restarts"), [("1", []), ("0", ["compose restart kibana"])])
def test_kibana_restarts_only_for_a_certificate_newer_than_its_start(
    up: Up, checkout: Path, exit_code: str, restarts: list[str]
) -> None:
    assert up(TEST_OF_CERTIFICATE_ENDS_WITH=exit_code).returncode == 0
    assert [call for call in read_calls(checkout) if call.startswith("compose restart")] == restarts


def test_up_does_not_use_wait(up: Up, checkout: Path) -> None:
    """Compose before 5.0.2 ends --wait with an error when a set-up container has exited with 0."""
    up()
    assert not [call for call in read_calls(checkout) if "--wait" in call]


def test_reason_of_a_failed_set_up_is_shown(up: Up) -> None:
    done = up(UP_ENDS_WITH="1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[0] == "INFERLOG_RETENTION is 'a month'"
    assert "scripts/up again" in done.stderr


def test_up_of_some_services_needs_no_login(up: Up) -> None:
    done = up("app", CONTAINER="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["the app:  http://127.0.0.1:18000/v1/chat/completions"]


def test_up_of_services_without_the_app_succeeds(up: Up) -> None:
    done = up("elasticsearch", CONTAINER="", APP="")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_reason_of_a_failed_login_is_shown(up: Up) -> None:
    done = up(READY_ENDS_WITH="1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "inferlog: cannot read /secrets/operator"
    assert "run scripts/up again" in done.stderr
    assert "password" not in done.stdout


def test_second_up_waits_for_the_first(checkout: Path) -> None:
    """Two first starts at once would leave two networks of one name."""
    for name in ("scripts/doctor", "scripts/lib/doctor.py"):
        shutil.copy(ROOT / name, checkout / name)
    with (checkout / "docker-compose.yml").open() as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with subprocess.Popen(
            [checkout / "scripts" / "up"],
            env=build_environment(checkout),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as second:
            assert second.stderr
            assert "another scripts/up runs" in second.stderr.readline()
            assert not (checkout / "calls").exists()
            fcntl.flock(first, fcntl.LOCK_UN)
            second.communicate(timeout=30)
    assert read_calls(checkout), "then it goes on"
