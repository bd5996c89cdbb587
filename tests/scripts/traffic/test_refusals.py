"""What a real Locust says of options that cannot be, before it sends anything."""

import os
from pathlib import Path

from tests.support import locust_runs


def test_a_path_in_a_refusal_does_not_steer_the_terminal(tmp_path: Path) -> None:
    run = locust_runs.run(tmp_path, "--prompts", "gone\x1b[31m\n.txt")
    assert run.returncode == 1
    assert r"locust: gone\x1b[31m\n.txt cannot be read as prompts" in run.said
    assert "\x1b[31m" not in run.said


def test_a_pipe_for_records_is_refused_in_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    run = locust_runs.run(tmp_path, "--records", "pipe")
    assert run.returncode == 1
    assert run.said.splitlines()[-1].startswith("locust: ")
    assert "pipe" in run.said.splitlines()[-1]
