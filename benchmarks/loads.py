"""What the services are asked in a round, and what is measured of it."""

import asyncio
import multiprocessing
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chat_client import Answer, AnswersAtOnce, Connection, ask, chat_request
from benchmarks.services import MODEL, Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """
    What is asked of each service in a round.

    Attributes:
        name: For the table.
        version: ``instant`` or ``paced``.
        stream: Whether the answers are streams.
        connections: Requests at once.
        requests: How many until the next service has its turn.
        turns: How many turns each service has.
    """

    name: str
    version: str
    stream: bool
    connections: int
    requests: int
    turns: int

    @property
    def pause_seconds(self) -> float:
        """From an answer to a lone client's next request: what the service does after an answer delays nobody then."""
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
class Round:
    """
    What one service did under one load in one round.

    Attributes:
        answers: How long each took.
        seconds: How long all took.
        cpu_seconds: Of the service, all of its threads.
    """

    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def percentile_ms(self, which: int, attribute: str) -> float:
        seconds = [getattr(answer, attribute) for answer in self.answers]
        return statistics.quantiles(seconds, n=100, method="inclusive")[which - 1] * 1e3


REQUEST_P99, RATE = "request p99, ms", "requests/s"
FIGURES: dict[str, Callable[[Round], float]] = {
    "first token p50, ms": lambda found: found.percentile_ms(50, "first_seconds"),
    "first token p99, ms": lambda found: found.percentile_ms(99, "first_seconds"),
    "request p50, ms": lambda found: found.percentile_ms(50, "whole_seconds"),
    REQUEST_P99: lambda found: found.percentile_ms(99, "whole_seconds"),
    RATE: lambda found: len(found.answers) / found.seconds,
    "CPU a request, ms": lambda found: found.cpu_seconds / len(found.answers) * 1e3,
}


def figures(load: Load) -> list[str]:
    """Return the names of the figures that mean something under *load*."""
    return [
        name
        for name in FIGURES
        if (load.stream or not name.startswith("first token")) and not (load.pause_seconds and name == RATE)
    ]


async def one_round(services: dict[str, Service], load: Load, share: float) -> dict[str, Round]:
    """Give each of *services* its turns, or the *share* of them, one after the other."""
    rounds = {name: Round() for name in services}
    names = list(services)
    for turn in range(max(1, round(load.turns * share))):
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            await one_turn(services[name], load, rounds[name])
    return rounds


async def one_turn(service: Service, load: Load, found: Round) -> None:
    request = chat_request(f"{MODEL}:{load.version}", stream=load.stream)
    connections = [await Connection.to(service.url) for _ in range(load.connections)]
    cpu_before, began = cpu_seconds(service.pid), time.perf_counter()
    found.answers += await ask(connections, request, requests=load.requests, pause_seconds=load.pause_seconds)
    found.seconds += time.perf_counter() - began
    found.cpu_seconds += cpu_seconds(service.pid) - cpu_before
    for connection in connections:
        connection.close()


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process's threads, in nanoseconds: psutil's steps are of 10 ms."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


async def own_limit(share: float) -> dict[str, float]:
    """Return what the client takes for itself, against a service that does nothing."""
    requests = max(100, round(5000 * share))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = multiprocessing.get_context("fork").Process(target=answer_at_once, args=(listener,), daemon=True)
        answering.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        connections = [await Connection.to(url) for _ in range(16)]
        request = chat_request(MODEL, stream=False)
        alone = await ask(connections[:1], request, requests=requests)
        began = time.perf_counter()
        await ask(connections, request, requests=requests)
        seconds = time.perf_counter() - began
        answering.terminate()
        answering.join()
    return {
        "p50_ms": statistics.median(answer.whole_seconds for answer in alone) * 1e3,
        "requests_per_second": requests / seconds,
    }


def answer_at_once(listener: socket.socket) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(AnswersAtOnce, sock=listener)
        await server.serve_forever()

    asyncio.run(serve())
