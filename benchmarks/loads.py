"""Loads of the server benchmark, and their measurement."""

import asyncio
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chat_client import Connection, InstantServer, ResponseTimes, build_chat_request, send_requests
from benchmarks.services import MODEL, RunningService


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    Requests to each service in a round.

    Attributes:
        name: Name in the table.
        version: ``instant`` or ``paced``.
        stream: Whether the responses are streams.
        connections: Concurrent requests.
        requests: Requests per turn.
        turns: Turns of each service.
    """

    name: str
    version: str
    stream: bool
    connections: int
    requests: int
    turns: int

    @property
    def pause_seconds(self) -> float:
        """Pause of a single client after a response, so that the service's work after a response delays no request."""
        return 0.002 if self.connections == 1 else 0.0


LOADS = (
    Load(name="1 at a time", version="instant", stream=False, connections=1, requests=20, turns=20),
    Load(name="1 stream at a time", version="instant", stream=True, connections=1, requests=10, turns=20),
    Load(name="8 at once", version="instant", stream=False, connections=8, requests=40, turns=15),
    Load(name="64 at once", version="instant", stream=False, connections=64, requests=128, turns=5),
    Load(name="16 at once, delays", version="paced", stream=False, connections=16, requests=80, turns=4),
    Load(name="16 streams at once, delays", version="paced", stream=True, connections=16, requests=80, turns=4),
)


@dataclass(slots=True)
class LoadRound:
    """
    Measurements of one service under one load in one round.

    Attributes:
        answers: Times of each response.
        seconds: Total duration.
        cpu_seconds: Processor time of all threads of the service.
    """

    answers: list[ResponseTimes] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def compute_percentile_ms(self, which: int, attribute: str) -> float:
        seconds: list[float] = [getattr(answer, attribute) for answer in self.answers]
        return statistics.quantiles(seconds, n=100, method="inclusive")[which - 1] * 1e3


REQUEST_P50, REQUEST_P99, RATE, CPU = "request p50, ms", "request p99, ms", "requests/s", "CPU a request, ms"
FIGURES: dict[str, Callable[[LoadRound], float]] = {
    "first token p50, ms": lambda found: found.compute_percentile_ms(50, "first_seconds"),
    "first token p99, ms": lambda found: found.compute_percentile_ms(99, "first_seconds"),
    REQUEST_P50: lambda found: found.compute_percentile_ms(50, "whole_seconds"),
    REQUEST_P99: lambda found: found.compute_percentile_ms(99, "whole_seconds"),
    RATE: lambda found: len(found.answers) / found.seconds,
    CPU: lambda found: found.cpu_seconds / len(found.answers) * 1e3,
}


def select_figures(load: Load) -> list[str]:
    """Return the names of the figures that apply to *load*."""
    return [
        name
        for name in FIGURES
        if (load.stream or not name.startswith("first token")) and not (load.pause_seconds and name == RATE)
    ]


async def run_round(services: dict[str, RunningService], load: Load, share: float) -> dict[str, LoadRound]:
    """Alternate the turns of *services*, or the *share* of them."""
    rounds = {name: LoadRound() for name in services}
    names = list(services)
    for turn in range(max(1, round(load.turns * share))):
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            await run_turn(services[name], load, rounds[name])
    return rounds


async def run_turn(service: RunningService, load: Load, found: LoadRound) -> None:
    request = build_chat_request(f"{MODEL}:{load.version}", stream=load.stream)
    connections = [await Connection.open(service.url) for _ in range(load.connections)]
    cpu_before, began = read_cpu_seconds(service.pid), time.perf_counter()
    found.answers += await send_requests(connections, request, requests=load.requests, pause_seconds=load.pause_seconds)
    found.seconds += time.perf_counter() - began
    found.cpu_seconds += read_cpu_seconds(service.pid) - cpu_before
    for connection in connections:
        connection.close()


def read_cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, with a resolution of nanoseconds: psutil's is 10 ms."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


async def measure_client_limit(share: float) -> dict[str, float]:
    """Return the client's own time and rate, against a service that responds at once."""
    requests = max(100, round(5000 * share))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = multiprocessing.get_context("fork").Process(target=answer_at_once, args=(listener,), daemon=True)
        answering.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        connections = [await Connection.open(url) for _ in range(16)]
        request = build_chat_request(MODEL, stream=False)
        alone = await send_requests(connections[:1], request, requests=requests)
        began = time.perf_counter()
        await send_requests(connections, request, requests=requests)
        seconds = time.perf_counter() - began
        answering.kill()  # not terminate(): since Python 3.12 a server waits for its open connections
        answering.join()
    return {
        "p50_ms": statistics.median(answer.whole_seconds for answer in alone) * 1e3,
        "requests_per_second": requests / seconds,
    }


def answer_at_once(listener: socket.socket) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(InstantServer, sock=listener)
        await server.serve_forever()

    asyncio.run(serve())
