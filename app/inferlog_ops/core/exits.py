"""Exit of a command: status 0, or one sentence on stderr and the exit code of the error."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.text import Text

from inferlog_ops.core.console import STDOUT, discard_stdout, err, occupy_closed_streams, prepare_stdout
from inferlog_ops.core.errors import OperatorError

ROWS_MISSING = 3
"""Exit code of an incomplete result."""

_READER_GONE = 141  # as for a command that SIGPIPE ends
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, kill, a closed terminal


def run_command(command: Callable[[], object], name: str) -> int:
    """Run *command* and return its exit code; print an error as one sentence that begins with *name*."""
    occupy_closed_streams()
    prepare_stdout()
    try:
        return _finish(command)
    except OperatorError as error:
        err.print(Text.assemble((f"{name}:", "red"), " ", str(error)))
        return error.exit_code
    except BrokenPipeError:
        discard_stdout()
        return _READER_GONE
    except OSError as error:
        if error.filename is None:
            raise
        if error.filename == STDOUT:
            discard_stdout()
            err.print(Text.assemble((f"{name}:", "red"), f" the output cannot be written: {error.strerror}"))
            return os.EX_IOERR
        err.print(Text.assemble((f"{name}:", "red"), f" {error.filename!s:.200}: {error.strerror}"))
        return 1
    except KeyboardInterrupt:
        return 130


def _finish(command: Callable[[], object]) -> int:
    """Run *command*, write the rest of its output, and return its exit code."""
    try:
        command()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    sys.stdout.flush()
    return code


@contextmanager
def interrupt_on_signal() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block at the first signal, and ignore further ones during the cleanup."""

    def end(*_: object) -> NoReturn:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
