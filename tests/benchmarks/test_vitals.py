"""Resource usage of a process: memory, open files, threads and processor time."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

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
print("taken", time.process_time(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", TAKES], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        yield started
        started.kill()


def read_words(process: "subprocess.Popen[bytes]") -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().decode().split()


def test_growth_of_a_process_is_measured(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    assert read_words(process) == ["ready"]
    before = measure_vitals(process.pid)
    process.stdin.write(b"\n")
    process.stdin.flush()
    _, own_cpu_seconds = read_words(process)
    after = measure_vitals(process.pid)
    for figure in ("resident_bytes", "proportional_bytes", "private_bytes"):
        assert 29e6 < getattr(after, figure) - getattr(before, figure) < 40e6, figure
    assert after.open_files - before.open_files == 7
    assert after.threads - before.threads == 3
    # The kernel counts in ticks of 0.01 s, apart for user and system.
    assert after.cpu_seconds == pytest.approx(float(own_cpu_seconds), abs=0.05)
    assert before.cpu_seconds < after.cpu_seconds
    assert before.at_seconds < after.at_seconds


def test_busy_cores_are_processor_time_divided_by_the_time_between() -> None:
    before = measure_vitals(os.getpid())
    later = replace(before, cpu_seconds=before.cpu_seconds + 3.0, at_seconds=before.at_seconds + 2.0)
    assert later.compute_cores_since(before) == pytest.approx(1.5)
