"""Traffic of the demo: a Locust process that records each request."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

import urllib3

from inferlog_ops.core.assets import find_asset_dir
from inferlog_ops.core.children import Child, build_module_command
from inferlog_ops.core.errors import OperatorError

_CALLERS: Final = ("SteadyChat", "StreamingChat", "CanaryChat", "MalformedChat", "LongChat", "LeavingChat")
# With this seed, the first 60 requests include 4 malformed ones, 3 long ones and 3 that disconnect.
_SEED: Final = "1316"
_TIMEOUT_SECONDS: Final = 60.0
# Below 1, so that requests do not queue behind long stories; four answers are generated in parallel.
_SHARE_OF_CAPACITY: Final = 0.6
# The minimum limits the user's waiting time; the maximum keeps some requests concurrent.
_SLOWEST_PER_SECOND, _FASTEST_PER_SECOND = 0.25, 1.0
_LONGEST_RUN: Final = "24h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """
    Request rate, independent of the responses.

    Attributes:
        requests_per_second: Rate of all callers together.
        of_a_caller: Rate of each caller, which determines their number. 0: chosen so that every kind of caller runs.
    """

    requests_per_second: float
    of_a_caller: float = 0


SIMULATED: Final = Pace(requests_per_second=100, of_a_caller=1)


def measure_pace(url: str, model: str) -> Pace:
    """
    Measure one answer and return a pace that *model* at *url* can sustain on this machine.

    Raises:
        OperatorError: If the server does not answer.
    """
    began = perf_counter()
    body = {"model": model, "messages": [{"role": "user", "content": "Write one sentence about the sea."}]}
    try:
        answer = urllib3.request(
            "POST", f"{url}/v1/chat/completions", json=body, retries=False, timeout=_TIMEOUT_SECONDS
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
    A running Locust process.

    Attributes:
        process: The process.
        records: File with one line per finished request.
    """

    process: Child
    records: Path

    def count_ended(self) -> int:
        """Return the number of finished requests."""
        with self.records.open("rb") as lines:
            return sum(1 for _ in lines)


@contextmanager
def send_traffic(url: str, output: Path, *, run_id: str, model: str, requests: int, pace: Pace) -> Iterator[Traffic]:
    """
    Send *requests* requests to *model* at *url*; stop Locust at the end of the block.

    Most requests are valid: plain answers and streams, some from version v2. A few are malformed, a few request an
    answer from v2 that exceeds the server's deadline, and a few clients disconnect from their streams.

    Raises:
        OperatorError: If Locust is not installed.
    """
    if importlib.util.find_spec("locust") is None:
        raise OperatorError("the demo requires Locust, which is not installed; run: pip install locust")
    records = output / "client.jsonl"
    records.write_bytes(b"")
    command = build_module_command(
        "locust",
        *("--locustfile", str(find_asset_dir("scripts/traffic") / "locustfile.py"), "--headless", "--only-summary"),
        # Failed requests are part of the demo.
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
