"""The ``inferlog`` command as its users run it: a process of its own."""

import subprocess
import sys

_INFERLOG = [sys.executable, "-m", "inferlog_ops.main"]


def begin(*arguments: object) -> subprocess.Popen[str]:
    """Start ``inferlog`` with *arguments* and go on."""
    return subprocess.Popen(
        [*_INFERLOG, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(*arguments: object, timeout_seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run ``inferlog`` with *arguments* to its end."""
    with begin(*arguments) as process:
        try:
            out, err = process.communicate(timeout=timeout_seconds)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
