"""End of a benchmark: user errors are one sentence, and a signal stops all started processes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

TOY = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from benchmarks import command_line
from inferlog_ops.core.errors import OperatorError
"""


def write_toy(directory: Path, code: str) -> list[str]:
    script = directory / "toy.py"
    script.write_text(TOY + code)
    return [sys.executable, str(script)]


def test_user_error_is_one_sentence_with_its_exit_code(tmp_path: Path) -> None:
    code = "def main(): raise OperatorError('no room for this', exit_code=2)\ncommand_line.run_main(main)"
    ran = subprocess.run(write_toy(tmp_path, code), capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", "toy: no room for this\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_stops_started_processes_first(tmp_path: Path, number: signal.Signals) -> None:
    code = """
def main():
    import time
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("ended in order", flush=True)
command_line.run_main(main)
"""
    with subprocess.Popen(
        write_toy(tmp_path, code), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "ended in order\n", "")
