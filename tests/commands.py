"""The ``inferlog`` command as its users run it: a process of its own."""

import signal
import subprocess
import sys

_INFERLOG = [sys.executable, "-m", "inferlog_ops.main"]


def begin(*arguments: object) -> subprocess.Popen[str]:
    """Start ``inferlog`` with *arguments* and go on. Ctrl-C reaches it, also where the tests run in the background."""
    return subprocess.Popen(
        [*_INFERLOG, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_with_ctrl_c,  # noqa: PLW1509 (sets a signal's handler and nothing else)
    )


def _with_ctrl_c() -> None:
    # A shell starts what runs in its background with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(*arguments: object, timeout_seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run ``inferlog`` with *arguments* to its end."""
    with begin(*arguments) as process:
        try:
            out, err = process.communicate(timeout=timeout_seconds)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
