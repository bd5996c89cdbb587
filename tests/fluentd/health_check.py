"""Health check of the image, run by the local Ruby."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "fluentd"


def health_check(port: int) -> subprocess.CompletedProcess[str]:
    """Query the monitor on *port* as the container does; skip the test without Ruby."""
    ruby = shutil.which("ruby")
    if not ruby:
        pytest.skip("no ruby on PATH: the image's health check is not run here")
    environment = os.environ | {"INFERLOG_FLUENTD_MONITOR_PORT": str(port), "http_proxy": "http://127.0.0.1:1"}
    command = [ruby, "--disable-gems", str(FOLDER / "healthcheck.rb")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
