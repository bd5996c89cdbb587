"""The loader inside ``docker compose``, which also holds what it reads to the specification's schema."""

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


def example_settings() -> dict[str, str]:
    """What .env.example says."""
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def read(*files: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Load *files* one over the other, with *settings* instead of a file .env."""
    if shutil.which("go") is None:
        pytest.skip("there is no go on PATH to build the loader of docker compose with")
    return subprocess.run(
        ["go", "run", ".", *map(str, files)],
        cwd=_PROGRAM,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def loaded(*files: Path, **settings: str) -> dict[str, Any]:
    """Return what came of *files*, which are all right."""
    done = read(*files, **settings)
    assert done.returncode == 0, done.stderr
    model: dict[str, Any] = json.loads(done.stdout)
    return model
