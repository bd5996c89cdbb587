"""Loader of ``docker compose``, which also validates files against the specification's schema."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = Path(__file__).parents[1] / "infra" / "compose_loader"


def read_example_settings() -> dict[str, str]:
    """Contents of .env.example."""
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def read(*files: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Load and merge *files*, with *settings* instead of a file .env."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed, so the loader of docker compose cannot be built")
    return subprocess.run(
        ["go", "run", ".", *map(str, files)],
        cwd=_PROGRAM,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def load_valid(*files: Path, **settings: str) -> dict[str, Any]:
    """Return the merged result of valid *files*."""
    done = read(*files, **settings)
    assert done.returncode == 0, done.stderr
    model: dict[str, Any] = json.loads(done.stdout)
    return model
