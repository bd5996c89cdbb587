"""The ``inferlog`` command and the maintainers' commands as separate processes, or the former in this one."""

import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from unittest import mock

from inferlog_ops.cli import command_list
from tests import ROOT

_INFERLOG = "inferlog_ops.cli.main"


def begin(*arguments: object) -> subprocess.Popen[str]:
    """Start ``inferlog`` with *arguments* and return its process."""
    return begin_module(_INFERLOG, *arguments)


def begin_module(module: str, *arguments: object) -> subprocess.Popen[str]:
    """Start *module* with *arguments*. SIGINT reaches it even if the tests run in the background."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=None if module == _INFERLOG else ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_accept_ctrl_c,  # noqa: PLW1509 (sets a signal's handler and nothing else)
    )


def _accept_ctrl_c() -> None:
    # A shell starts what runs in its background with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(*arguments: object, timeout_seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run ``inferlog`` with *arguments* to its end."""
    return run_module(_INFERLOG, *arguments, timeout_seconds=timeout_seconds)


def run_here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run ``inferlog`` with *arguments* in this process, which is quicker where the command ends at its options."""
    command = ["inferlog", *map(str, arguments)]
    with (
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as err,
        mock.patch.object(sys, "argv", command),
    ):
        code = command_list.run()
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())


def run_module(module: str, *arguments: object, timeout_seconds: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run *module* with *arguments* to its end."""
    with begin_module(module, *arguments) as process:
        try:
            out, err = process.communicate(timeout=timeout_seconds)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
