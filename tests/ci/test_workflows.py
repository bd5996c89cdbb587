"""What runs where there is Docker. Nobody has run it here: it is held to what can be seen in it."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.compose_go import ROOT
from tests.support.schemas import validate_schema

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
FULL_HASH = re.compile(r"actions/[a-z-]+@[0-9a-f]{40}")
HASH_WITH_VERSION = re.compile(r"uses: (\S+)@([0-9a-f]{40})  # (v\d+\.\d+\.\d+)$", re.MULTILINE)
MAY_WRITE = {"bump": {"contents": "write", "pull-requests": "write"}}

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def read_workflow(path: Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load(path.read_text())
    return loaded


def read_triggers(path: Path) -> dict[str, Any]:
    """Return what starts it; YAML 1.1 reads the key ``on`` as true."""
    found: dict[str, Any] = read_workflow(path)[True]
    return found


def read_jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read_workflow(path)["jobs"]
    return found


def read_steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read_jobs(path).values() for step in job["steps"]]


def test_all_five_workflows_exist() -> None:
    assert [path.stem for path in FILES] == ["bump", "ci", "kibana", "scans", "stack"]


def test_github_knows_every_key() -> None:
    done = validate_schema("vendor.github-workflows", *FILES)
    assert done.returncode == 0, done.stdout


@each_file
def test_workflow_has_read_only_permissions_by_default(path: Path) -> None:
    assert read_workflow(path)["permissions"] == {"contents": "read"}
    for job in read_jobs(path).values():
        assert job.get("permissions", {}) == MAY_WRITE.get(path.stem, {})


@each_file
def test_workflow_of_a_fork_has_no_permissions(path: Path) -> None:
    started_by = set(read_triggers(path))
    assert started_by <= {"push", "pull_request", "schedule", "workflow_dispatch"}
    if path.stem in MAY_WRITE:
        assert "pull_request" not in started_by


@each_file
def test_no_job_can_hang_or_run_on_another_system_tomorrow(path: Path) -> None:
    for job in read_jobs(path).values():
        assert 0 < job["timeout-minutes"] <= 90
        assert re.fullmatch(r"ubuntu-\d\d\.\d\d", job["runs-on"])
    assert "concurrency" in read_workflow(path)


@each_file
def test_actions_are_from_github_and_pinned(path: Path) -> None:
    used = [step["uses"] for step in read_steps(path) if "uses" in step]
    assert all(FULL_HASH.fullmatch(action) for action in used)
    assert len(HASH_WITH_VERSION.findall(path.read_text())) == len(used), "the version is next to the hash"


def test_one_action_has_one_version() -> None:
    versions: dict[str, set[tuple[str, str]]] = {}
    for path in FILES:
        for action, commit, version in HASH_WITH_VERSION.findall(path.read_text()):
            versions.setdefault(action, set()).add((commit, version))
    assert all(len(found) == 1 for found in versions.values())


@each_file
def test_the_token_is_not_left_in_the_checkout(path: Path) -> None:
    checkouts = [step for step in read_steps(path) if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(read_jobs(path))
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@each_file
def test_commands_take_nothing_from_outside_and_are_clean(path: Path) -> None:
    shellcheck = shutil.which("shellcheck", path=str(ROOT / ".venv" / "bin"))
    assert shellcheck
    for step in read_steps(path):
        if "run" not in step:
            continue
        assert "${{" not in step["run"], "what GitHub puts in there is run as it is"
        done = subprocess.run(
            [shellcheck, "--shell=bash", "-"], input=step["run"], capture_output=True, text=True, check=False
        )
        assert done.stdout == ""


@each_file
def test_workflow_calls_only_existing_executable_scripts(path: Path) -> None:
    called = {
        name
        for step in read_steps(path)
        for name in re.findall(r"(?<![\w/.])(?:\.ci|scripts)/[a-z_]+(?:/[a-z_]+)?(?:\.py)?\b", step.get("run", ""))
    }
    assert called
    for name in called:
        assert os.access(ROOT / name, os.X_OK) or name.endswith(".py")
        assert (ROOT / name).is_file()


def test_a_failed_stack_leaves_its_logs_and_no_containers() -> None:
    by_what = {step.get("if"): step for step in read_jobs(FOLDER / "stack.yml")["stack"]["steps"]}
    assert by_what["failure()"]["uses"].startswith("actions/upload-artifact@")
    assert by_what["always()"]["run"] == "scripts/down --delete-data"


def test_scans_and_bumps_come_once_a_week() -> None:
    for name in ("scans", "bump"):
        (schedule,) = read_triggers(FOLDER / f"{name}.yml")["schedule"]
        assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", schedule["cron"])
