"""Objects that kustomize builds from a folder, by whichever program of it this machine has."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

_FROM_SOURCE = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"


def build(folder: Path) -> list[dict[str, Any]]:
    """Return the objects of *folder*; skip the test without kubectl, kustomize and Go."""
    done = subprocess.run(
        [*_find_program(), str(folder)],
        env={**os.environ, "GOFLAGS": "-mod=mod"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    return list(yaml.safe_load_all(done.stdout))


def _find_program() -> list[str]:
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("go"):
        return ["go", "run", _FROM_SOURCE, "build"]
    pytest.skip("no kubectl, kustomize or go on PATH, so infra/kubernetes cannot be built")
