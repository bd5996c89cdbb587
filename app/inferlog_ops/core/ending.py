"""How a command ends: with 0, or with one sentence and the exit code of what went wrong."""

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


def exit_code_of(command: Callable[[], object], name: str) -> int:
    """Run *command*, which reads ``sys.argv``; an error is said to be of *name*, as it was called."""
    try:
        command()
    except OperatorError as error:
        err.print(Text.assemble((f"{name}:", "red"), " ", str(error)))
        return error.exit_code
    except BrokenPipeError:
        # The reader has gone; what is left would fail again when Python flushes at its end.
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
def one_signal_ends() -> Iterator[None]:
    """Let the first signal end the block by KeyboardInterrupt, and a second one not disturb what is done then."""

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
