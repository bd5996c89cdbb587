"""Ruby programs of the image, run by the local Ruby."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "fluentd"


def build_ruby_command(program: str) -> list[str]:
    """Return the command of *program* in the image; skip the test without Ruby."""
    ruby = shutil.which("ruby")
    if not ruby:
        pytest.skip(f"no ruby on PATH: {program} is not run here")
    return [ruby, "--disable-gems", str(FOLDER / program)]


def run_health_check(port: int) -> subprocess.CompletedProcess[str]:
    """Query the monitor on *port* as the container does; skip the test without Ruby."""
    environment = os.environ | {"INFERLOG_FLUENTD_MONITOR_PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
    command = build_ruby_command("healthcheck.rb")
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
