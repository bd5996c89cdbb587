"""Order of the steps that start, load and check the stack, with stand-ins for every command."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.compose_go import ROOT

STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
case "$*" in
    *"cat provision /certificates/ca.crt"*) echo certificate ;;
    *"cat provision /secrets/operator/elasticsearch_api_key"*) echo key-id:key-secret ;;
    *"port elasticsearch 9200"*) echo 127.0.0.1:19200 ;;
    "cp "*) echo '{}' >"$3" ;;
    *stack_check.py*) env >"$CALLS.environment"; exit "${CHECK_ENDS_WITH:-0}" ;;
esac
"""

Stack = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which everything that is called only notes it."""
    for name in ("bin/docker", "bin/python3", "scripts/up", ".venv/bin/python"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN)
        path.chmod(0o755)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "stack", tmp_path / ".ci" / "stack")
    return tmp_path


@pytest.fixture
def stack(checkout: Path) -> Stack:
    """Runs the script."""

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{checkout / 'bin'}:{os.environ['PATH']}"
        outside = {**os.environ, "PATH": path, "CALLS": str(checkout / "calls"), **environment}
        return subprocess.run(
            [checkout / ".ci" / "stack"], env=outside, capture_output=True, text=True, timeout=30, check=False
        )

    return run


def test_stack_script_starts_then_sends_then_checks(stack: Stack, checkout: Path) -> None:
    done = stack()
    assert done.returncode == 0, done.stderr
    calls = (checkout / "calls").read_text().splitlines()
    order = [
        next(place for place, call in enumerate(calls) if words in call)
        for words in (
            "set_up.py",
            "up ",
            "run -T --name inferlog-ci-traffic traffic",
            "cp inferlog-ci-",
            "stack_check.py",
        )
    ]
    assert order == sorted(order)
    assert json.loads((checkout / "results" / "client.jsonl").read_text()) == {}
    assert "--records results/client.jsonl --shipper fluentd" in calls[-1]


def test_stack_check_uses_the_read_only_key(stack: Stack, checkout: Path) -> None:
    stack()
    environment = dict(
        line.split("=", 1) for line in (checkout / "calls.environment").read_text().splitlines() if "=" in line
    )
    assert environment["ELASTICSEARCH_URL"] == "https://localhost:19200"
    assert environment["ELASTICSEARCH_API_KEY"] == "a2V5LWlkOmtleS1zZWNyZXQ=", "id:key, encoded"
    assert (checkout / environment["ELASTICSEARCH_CA_FILE"]).read_text() == "certificate\n"
    assert environment["COMPOSE_FILE"] == "docker-compose.yml:.ci/stack.yml"
    assert "key-secret" not in (checkout / "calls").read_text(), "every listing of processes shows arguments"


def test_stack_script_exits_with_the_status_of_the_check(stack: Stack) -> None:
    assert stack(CHECK_ENDS_WITH="1").returncode == 1
