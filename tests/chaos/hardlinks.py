"""Gives every log file a second name: what the service or a fault deletes can still be counted."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SECONDS_BETWEEN_LOOKS = 0.05
"""A file is deleted no sooner than a shipper has found it, sent it and said so, each of which takes longer."""


def keep_now(logs: Path, kept: Path) -> None:
    """Link each file of *logs* that has no second name yet into *kept*."""
    known = {path.name for path in kept.iterdir()}
    with suppress(FileNotFoundError):  # a fault has removed the directory
        for path in logs.glob("*.jsonl"):
            if path.name not in known:
                with suppress(FileNotFoundError, FileExistsError):  # gone again, or linked by the other caller
                    os.link(path, kept / path.name)


@contextmanager
def keeping(logs: Path, kept: Path) -> Iterator[None]:
    """Link new files of *logs* into *kept* for as long as the block runs."""
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            keep_now(logs, kept)

    thread = threading.Thread(target=keep, name="keeper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        keep_now(logs, kept)
