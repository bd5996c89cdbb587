"""Fixtures of the tests of the sinks."""

import os
from collections.abc import Callable

import pytest

from inferlog.recorder import Sink


@pytest.fixture
def close_while_forking(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sink], list[int]]:
    """Return a function that closes a sink as if a child was forked meanwhile, and returns the closed descriptors."""

    def close_sink(sink: Sink) -> list[int]:
        closed = []
        close = os.close

        def fork_while_closing(descriptor: int) -> None:
            closed.append(descriptor)
            close(descriptor)
            sink.detach_after_fork()

        monkeypatch.setattr(os, "close", fork_while_closing)
        sink.close()
        return closed

    return close_sink
