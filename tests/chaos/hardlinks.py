"""Hard links to every log file, so that deleted files can still be counted."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SECONDS_BETWEEN_POLLS = 0.05
"""Shorter than the life of a file: a shipper must find, send and acknowledge it before it is deleted."""


def link_now(logs: Path, kept: Path) -> None:
    """Link each file of *logs* into *kept* that is not linked yet."""
    known = {path.name for path in kept.iterdir()}
    with suppress(FileNotFoundError):  # a fault has removed the directory
        for path in logs.glob("*.jsonl"):
            if path.name not in known:
                with suppress(FileNotFoundError, FileExistsError):  # already deleted, or linked by the other caller
                    os.link(path, kept / path.name)


@contextmanager
def keep_linking(logs: Path, kept: Path) -> Iterator[None]:
    """Link new files of *logs* into *kept* until the end of the block."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(_SECONDS_BETWEEN_POLLS):
            link_now(logs, kept)

    thread = threading.Thread(target=keep, name="keeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        link_now(logs, kept)
