"""The demo's traffic: Locust, a process of its own, which records each request."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

import urllib3

from inferlog_ops.core.assets import asset_dir
from inferlog_ops.core.children import Child, python_module
from inferlog_ops.core.errors import OperatorError

_CALLERS: Final = ("SteadyChat", "StreamingChat", "CanaryChat", "MalformedChat", "LongChat", "LeavingChat")
# Among the first sixty requests are four malformed ones, three long ones and three that leave.
_SEED: Final = "1316"
_PATIENCE_SECONDS: Final = 60.0
# Long stories take their part, and others should not have to wait for long; four answers are made side by side.
_SHARE_OF_CAPACITY: Final = 0.6
# The first is for the user, who waits for so many requests; the second shows some of them beside each other.
_SLOWEST_PER_SECOND, _FASTEST_PER_SECOND = 0.25, 1.0
_LONGEST_RUN: Final = "24h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """
    How fast requests come, whatever becomes of the earlier ones.

    Attributes:
        requests_per_second: Of all callers together.
        of_a_caller: Of each of them: so many there are. 0: such that all kinds of them come.
    """

    requests_per_second: float
    of_a_caller: float = 0


SIMULATED: Final = Pace(requests_per_second=100, of_a_caller=1)


def pace_of(url: str, model: str) -> Pace:
    """
    Return a pace that *model* at *url* can keep on this machine, by the time that one answer takes.

    Raises:
        OperatorError: If it does not answer.
    """
    began = perf_counter()
    body = {"model": model, "messages": [{"role": "user", "content": "Write one sentence about the sea."}]}
    try:
        answer = urllib3.request(
            "POST", f"{url}/v1/chat/completions", json=body, retries=False, timeout=_PATIENCE_SECONDS
        )
    except urllib3.exceptions.HTTPError as error:
        raise OperatorError(f"the server at {url} did not answer a first request: {error}") from error
    if answer.status != 200:
        raise OperatorError(f"the server at {url} answered a first request with {answer.status}: {answer.data[:200]!r}")
    affordable = _SHARE_OF_CAPACITY / (perf_counter() - began)
    return Pace(requests_per_second=min(max(affordable, _SLOWEST_PER_SECOND), _FASTEST_PER_SECOND))


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """
    Requests that are being sent.

    Attributes:
        process: Locust.
        records: The file in which a line stands for each request that has ended.
    """

    process: Child
    records: Path

    def count_ended(self) -> int:
        """Return how many requests have ended so far."""
        with self.records.open("rb") as lines:
            return sum(1 for _ in lines)


@contextmanager
def sending(url: str, output: Path, *, run_id: str, model: str, requests: int, pace: Pace) -> Iterator[Traffic]:
    """
    Have *requests* requests sent to *model* at *url*; end that at the end of the block, if it has not ended.

    Mostly good ones: whole answers and streams, some of them from version v2. A few are malformed, a few ask v2 for an
    answer too long for the server's deadline, and a few clients leave their streams.

    Raises:
        OperatorError: If Locust is not installed.
    """
    if importlib.util.find_spec("locust") is None:
        raise OperatorError("the demo sends its requests by Locust, which is not installed: pip install locust")
    records = output / "client.jsonl"
    records.write_bytes(b"")
    command = python_module(
        "locust",
        *("--locustfile", str(asset_dir("scripts/traffic") / "locustfile.py"), "--headless", "--only-summary"),
        # Requests that fail are a part of what the demo shows.
        *("--exit-code-on-error", "0"),
        *("--host", url, "--model", model, "--run-id", run_id, "--seed", _SEED, "--records", str(records)),
        *("--requests", str(requests), "--duration", _LONGEST_RUN),
        *("--rate", str(pace.requests_per_second), "--user-rate", str(pace.of_a_caller)),
        *_CALLERS,
    )
    process = Child("traffic", command, output=output)
    try:
        yield Traffic(process=process, records=records)
    finally:
        process.stop()
