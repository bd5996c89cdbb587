"""How a command ends: with 0, or with one sentence and the exit code of what went wrong."""

import os
import sys
from collections.abc import Callable

from inferlog_ops.console import err
from inferlog_ops.errors import OperatorError


def exit_code_of(command: Callable[[], object], name: str) -> int:
    """Run *command*, which reads ``sys.argv``; an error is said to be of *name*, as it was called."""
    try:
        command()
    except OperatorError as error:
        err.print(f"[red]{name}:[/red] {_plain(str(error))}", highlight=False)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone; what is left would fail again when Python flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    return 0


def _plain(text: str) -> str:
    """Keep square brackets of a message from being read as markup."""
    return text.replace("[", r"\[")
