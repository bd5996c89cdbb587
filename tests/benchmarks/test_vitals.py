"""Resource usage of a process: memory, open files, threads and processor time."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.vitals import measure_vitals

TAKES = """
import sys, threading, time
print("ready", flush=True)
sys.stdin.readline()
memory = b"x" * 30_000_000
files = [open("/dev/null") for _ in range(7)]
held = threading.Event()
for _ in range(3):
    threading.Thread(target=held.wait, daemon=True).start()
began = time.process_time()
while time.process_time() - began < 0.2:
    pass
print("taken", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", TAKES], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        yield started
        started.kill()


def has_printed(process: "subprocess.Popen[bytes]", word: bytes) -> bool:
    assert process.stdout is not None
    return process.stdout.readline().strip() == word


def test_growth_of_a_process_is_measured(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    assert has_printed(process, b"ready")
    before = measure_vitals(process.pid)
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert has_printed(process, b"taken")
    after = measure_vitals(process.pid)
    for figure in ("resident_bytes", "proportional_bytes", "private_bytes"):
        assert 29e6 < getattr(after, figure) - getattr(before, figure) < 40e6, figure
    assert after.open_files - before.open_files == 7
    assert after.threads - before.threads == 3
    assert 0.15 < after.cpu_seconds - before.cpu_seconds < 1.0
    assert 0 < after.compute_cores_since(before) <= 1.1
