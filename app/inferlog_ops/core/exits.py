"""Exit of a command: status 0, or one sentence on stderr and the exit code of the error."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.text import Text

from inferlog_ops.core.console import err
from inferlog_ops.core.errors import OperatorError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, kill, a closed terminal


def run_command(command: Callable[[], object], name: str) -> int:
    """Run *command* and return its exit code; print an error as one sentence that begins with *name*."""
    try:
        command()
    except OperatorError as error:
        err.print(Text.assemble((f"{name}:", "red"), " ", str(error)))
        return error.exit_code
    except BrokenPipeError:
        # The reader has closed the pipe; without this, Python's flush at exit would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.filename is None:
            raise
        err.print(Text.assemble((f"{name}:", "red"), f" {error.filename!s:.200}: {error.strerror}"))
        return 1
    except KeyboardInterrupt:
        return 130
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    return 0


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
