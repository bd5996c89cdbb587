"""Short run of each fuzz target, to keep the targets working."""

import importlib
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from inferlog import context, event, redaction, request
from inferlog.middleware import asgi, wsgi
from inferlog_ops.core import streams as namespaces
from inferlog_ops.query.dashboards import shape
from inferlog_ops.query.reconcile import records
from inferlog_ops.query.rules import condition, rules
from inferlog_ops.ship import batch, tail
from inferlog_ops.ship.batch import UnshippableError
from tests import ROOT
from tests.fuzz.targets import TARGETS

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
INPUTS = 300


@pytest.fixture
def target(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """Import a target as the fuzzer does, and close its resources afterwards."""
    module = importlib.import_module(f"tests.fuzz.{request.param}")
    yield module
    module.resources.close()
    for name in (request.param, "written", "bent"):
        sys.modules.pop(f"tests.fuzz.{name}", None)


def generate_inputs(target: ModuleType, count: int) -> Iterator[bytes]:
    """Yield the target's seeds, then deterministic mutations of them."""
    chance = random.Random(1)
    seeds: list[bytes] = list(target.SEEDS)
    yield from seeds[:count]
    for _ in range(count - len(seeds)):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(data) + 1)
            change = chance.choice(seeds) if chance.random() < 0.3 else chance.randbytes(chance.randrange(1, 3))
            data[at : at + chance.randrange(3)] = change
        yield bytes(data[: target.LONGEST_BYTES])


@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_target_accepts_any_input(target: ModuleType) -> None:
    take_all(target, INPUTS)


def take_all(target: ModuleType, count: int) -> None:
    for data in generate_inputs(target, count):
        target.check(data)


def test_fuzzer_runs_and_counts(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, "-m", "tests.fuzz.run", "headers", "--runs", "50"]
    fuzzer = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert re.fullmatch(r"headers: \d+ inputs in \d+ s, nothing was found\n", fuzzer.stdout), fuzzer.stderr
    assert fuzzer.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_fuzzer_fails_when_it_ends_early(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, "-m", "tests.fuzz.run", "headers", "--runs", "1000000000", "--seconds", "1"]
    fuzzer = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert "nothing was found, but 1,000,000,000 were wanted: give it more --seconds" in fuzzer.stdout
    assert fuzzer.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_fuzzer_prints_progress_and_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, "-m", "tests.fuzz.run", "question", "--runs", "1000000000", "--seconds", "120"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as fuzzer:
        assert fuzzer.stderr
        for line in fuzzer.stderr:
            if "INITED" in line:
                break
        (child,) = psutil.Process(fuzzer.pid).children()
        fuzzer.send_signal(number)
        said, _ = fuzzer.communicate(timeout=60)
    assert re.fullmatch(r"question: [\d,]+ inputs in \d+ s, interrupted\n", said)
    assert fuzzer.returncode == 1
    assert not child.is_running()


def keep_any_id(_: str) -> bool:
    return True


def refuse(*_: object) -> None:
    raise UnshippableError("not today")


@pytest.mark.parametrize(
    ("target", "where", "what", "broken"),
    [
        ("headers", request, "is_valid_id", keep_any_id),
        ("headers", event, "is_valid_id", keep_any_id),
        ("headers", asgi, "decode_header", bytes.hex),
        ("headers", wsgi, "decode_header", bytes.hex),
        ("redaction", redaction, "_PASSES_LIMIT", 1),
        ("lines", event, "to_utf8", str),
        ("lines", context, "to_label_name", str),
        ("shipped", batch, "_parse_leniently", refuse),
        ("shipped", tail, "_is_line_start", lambda *_: False),
        ("question", namespaces, "_NAMESPACE", re.compile(".*")),
        ("dashboard_files", shape, "_get_optional", lambda holder, kind, _, key: holder.get(key, kind())),
        ("slo_file", condition, "_ESCAPES", {}),
        ("rule_file", rules, "_COLUMN", re.compile(".*")),
        ("client_records", records, "_check_record", lambda record: record),
    ],
    indirect=["target"],
)
def test_target_detects_an_injected_defect(
    target: ModuleType, where: ModuleType, what: str, broken: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, what, broken)
    with pytest.raises((AssertionError, AttributeError, KeyError, TypeError, ValueError)):
        take_all(target, 20 * INPUTS)
