"""Waits of core: number of polls, timeout, progress."""

import pytest

from inferlog_ops.core import wait
from inferlog_ops.core.wait import NotInTimeError, poll, wait_while


def test_poll_yields_once_without_time() -> None:
    assert len(list(poll(timeout_seconds=0, interval_seconds=60))) == 1


def test_poll_yields_until_the_time_is_over() -> None:
    elapsed = list(poll(timeout_seconds=0.05, interval_seconds=0.01))
    assert 2 <= len(elapsed) <= 7
    assert elapsed == sorted(elapsed)


def test_wait_returns_when_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "_SECONDS_BETWEEN_POLLS", 0.0)
    missing = iter(["a", "b", None])
    wait_while(lambda: next(missing), "it", timeout_seconds=5, on_progress=print, advice="")
    assert list(missing) == []


def test_wait_fails_with_its_reason_after_the_timeout() -> None:
    with pytest.raises(NotInTimeError, match="the server was not ready after 0 s: no answer; start it"):
        wait_while(lambda: "no answer", "the server", timeout_seconds=0, on_progress=print, advice="start it")
