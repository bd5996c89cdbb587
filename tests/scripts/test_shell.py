"""Shellcheck of all shell code: scripts and RUN lines of Dockerfiles."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from inferlog_ops.provision.kibana.bodies import SCRIPT, write_bodies
from inferlog_ops.provision.kibana.plan import build_plan
from tests.support.dockerfiles import ROOT, Dockerfile

NOT_OURS = {".venv", ".git", ".hypothesis", "__pycache__", "node_modules"}
BEGINS = (b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash", b"# shellcheck shell=")
DOCKERFILES = ("app", "fluentd", "infra/setup", "scripts/traffic")


def find_shell_scripts() -> list[Path]:
    """Return every file that begins as a shell script does."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.endswith("_cache")]
        found += [path for name in files if begins_as_script(path := Path(folder, name))]
    return sorted(found)


def begins_as_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(40).startswith(BEGINS)


def run_shellcheck(*arguments: str, text: str | None = None) -> str:
    """Return the output of shellcheck from this environment, not from the machine."""
    program = shutil.which("shellcheck", path=str(ROOT / ".venv" / "bin"))
    assert program, "it comes with what scripts/test installs"
    command = [program, "--external-sources", "--source-path=SCRIPTDIR", "--enable=quote-safe-variables", *arguments]
    done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_scripts_are_found() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in find_shell_scripts()}
    assert {"scripts/demo", "scripts/test", "scripts/up", "scripts/environment.sh", ".ci/run"} <= names


@pytest.mark.parametrize("path", find_shell_scripts(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_script_is_clean_and_can_be_run(path: Path) -> None:
    assert run_shellcheck(str(path)) == ""
    is_sourced = path.read_text().startswith("# shellcheck shell=")
    assert bool(path.stat().st_mode & 0o111) is not is_sourced


@pytest.mark.parametrize("folder", DOCKERFILES)
def test_dockerfile_commands_are_clean(folder: str) -> None:
    runs = Dockerfile(ROOT / folder / "Dockerfile", ROOT).list_instructions("RUN")
    assert runs
    for run in runs:
        assert run_shellcheck("--shell=sh", "-", text=run.text) == ""


def test_the_script_that_sends_bodies_to_a_kibana_is_clean(tmp_path: Path) -> None:
    write_bodies(tmp_path, build_plan("default"), "default")
    assert run_shellcheck(str(tmp_path / SCRIPT)) == ""


def test_shellcheck_finds_a_fault() -> None:
    assert "SC2086" in run_shellcheck("-", text="#!/bin/sh\nfile=$1\nrm -- $file\n")
