"""
What logging costs a request, as its client sees it: the example service with and without the library.

    .venv/bin/python benchmarks/server.py

Three services run, each a process of its own, with a simulated model: one without logging, one with it, and one more
without it. They take turns every few hundredths of a second, so that a slow moment of the machine is slow for all, and
the n-th request of each has the same simulated delays. What counts is the difference within a round; the third service
shows what differences mean nothing.

A model that takes no time lets every microsecond show: there is nothing else that a request waits for. The simulated
delays (20 ms to the first token, 1 ms for each of about 40) are nearer to what a client sees.
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from chat_client import Answer, AnswersAtOnce, Connection, ask, chat_request
from rich.console import Console
from rich.table import Table

from inferlog_ops.demo.children import Child

MODEL = "smollm2-135m-instruct"
NO_TIME = {"first_token_median_seconds": 0, "token_median_seconds": 0, "sigma": 0}
VERSIONS = json.dumps([{"name": "instant", "simulated": NO_TIME}, {"name": "paced"}])
OFF, ON, OFF_AGAIN = SERVICES = ("off", "on", "off again")
READY_SECONDS = 60.0


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
        cpu_seconds: Of the service's main thread, which does all of its work.
    """

    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def percentile_ms(self, which: int, attribute: str) -> float:
        seconds = [getattr(answer, attribute) for answer in self.answers]
        return statistics.quantiles(seconds, n=100, method="inclusive")[which - 1] * 1e3


FIGURES: dict[str, Callable[[Round], float]] = {
    "first token p50, ms": lambda found: found.percentile_ms(50, "first_seconds"),
    "first token p99, ms": lambda found: found.percentile_ms(99, "first_seconds"),
    "request p50, ms": lambda found: found.percentile_ms(50, "whole_seconds"),
    "request p99, ms": lambda found: found.percentile_ms(99, "whole_seconds"),
    "requests/s": lambda found: len(found.answers) / found.seconds,
    "CPU a request, ms": lambda found: found.cpu_seconds / len(found.answers) * 1e3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    One figure of one load, over all rounds.

    Attributes:
        off: Median without logging.
        on: Median with it.
        differences: What logging adds, in each round.
        noise: What the other service without logging adds, in each round.
    """

    load: str
    figure: str
    off: float
    on: float
    differences: list[float]
    noise: list[float]


Rounds = dict[tuple[Load, str], list[Round]]
"""What was measured, by load and service."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="one takes about 10 s on an idle machine")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error("--rounds: expected 2 or more, for there to be a spread")
    gc.disable()  # the client's own pauses are not the service's
    with tempfile.TemporaryDirectory() as directory:
        limit = asyncio.run(own_limit())
        rounds = asyncio.run(measured(Path(directory), options.rounds))
    comparisons = [compared(load, figure, rounds) for load in LOADS for figure in figures(load)]
    if options.json:
        json.dump({"client": limit, "comparisons": [asdict(comparison) for comparison in comparisons]}, sys.stdout)
        return
    Console(width=130, markup=False).print(as_table(comparisons, options.rounds))
    print(f"the client alone: {limit['p50_ms']:.3f} ms a request, {limit['requests_per_second']:,.0f} requests/s")


def figures(load: Load) -> list[str]:
    """Return the names of the figures that mean something under *load*."""
    return [
        name
        for name in FIGURES
        if (load.stream or not name.startswith("first token")) and not (load.pause_seconds and name == "requests/s")
    ]


async def measured(directory: Path, rounds: int) -> Rounds:
    rounds_of: Rounds = {(load, name): [] for load in LOADS for name in SERVICES}
    with ExitStack() as running:
        services = {name: running.enter_context(service(name, directory)) for name in SERVICES}
        tell("warming up")
        for load in LOADS:
            await one_round(services, load)
        for number in range(rounds):
            tell(f"round {number + 1} of {rounds}")
            for load in LOADS:
                for name, found in (await one_round(services, load)).items():
                    rounds_of[load, name].append(found)
    return rounds_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service: where it answers, and its process."""

    url: str
    pid: int


@contextmanager
def service(name: str, directory: Path) -> Iterator[Service]:
    home = directory / name.replace(" ", "-")
    home.mkdir()
    ready_file = home / "ready.json"
    command = [sys.executable, "-m", "inferlog_server", "--backend=simulated", "--port=0", f"--versions={VERSIONS}"]
    command += [f"--ready-file={ready_file}", f"--logging={'true' if name == ON else 'false'}"]
    child = Child("service", command, output=home, environment={"INFERLOG_LOG_DIR": str(home / "logs")})
    try:
        child.wait_until(ready_file.exists, timeout_seconds=READY_SECONDS)
        yield Service(**json.loads(ready_file.read_text()))
    finally:
        child.stop()


async def one_round(services: dict[str, Service], load: Load) -> dict[str, Round]:
    rounds = {name: Round() for name in services}
    for turn in range(load.turns):
        for name in SERVICES if turn % 2 else reversed(SERVICES):
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
    """Return the processor time of a process's main thread, in nanoseconds: psutil's steps are of 10 ms."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def own_limit() -> dict[str, float]:
    """Return what the client takes for itself, against a service that does nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = multiprocessing.get_context("fork").Process(target=answer_at_once, args=(listener,), daemon=True)
        answering.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        connections = [await Connection.to(url) for _ in range(16)]
        request = chat_request(MODEL, stream=False)
        alone = await ask(connections[:1], request, requests=2000)
        began = time.perf_counter()
        await ask(connections, request, requests=5000)
        seconds = time.perf_counter() - began
        answering.terminate()
        answering.join()
    return {
        "p50_ms": statistics.median(answer.whole_seconds for answer in alone) * 1e3,
        "requests_per_second": 5000 / seconds,
    }


def answer_at_once(listener: socket.socket) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(AnswersAtOnce, sock=listener)
        await server.serve_forever()

    asyncio.run(serve())


def compared(load: Load, figure: str, rounds: Rounds) -> Comparison:
    off, on, again = ([FIGURES[figure](found) for found in rounds[load, name]] for name in SERVICES)
    return Comparison(
        load=load.name,
        figure=figure,
        off=statistics.median(off),
        on=statistics.median(on),
        differences=[with_it - without for with_it, without in zip(on, off, strict=True)],
        noise=[other - without for other, without in zip(again, off, strict=True)],
    )


def as_table(comparisons: list[Comparison], rounds: int) -> Table:
    table = Table(title=f"{rounds} rounds: medians, in brackets the middle half of the rounds")
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    for heading in ("off", "on", "added", "added, in %", "off against off, in %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for load in LOADS:
        for row in (comparison for comparison in comparisons if comparison.load == load.name):
            name = load.name if row.figure == figures(load)[0] else ""
            digits = 3 if row.figure.endswith("ms") else 0
            added = statistics.median(row.differences)
            table.add_row(
                *(name, row.figure, f"{row.off:.{digits}f}", f"{row.on:.{digits}f}", f"{added:+.{digits}f}"),
                *(spread(row.differences, row.off), spread(row.noise, row.off)),
            )
        table.add_section()
    return table


def spread(differences: list[float], base: float) -> str:
    low, middle, high = (quartile / base * 100 for quartile in statistics.quantiles(differences, n=4))
    return f"{middle:+.1f} [{low:+.1f} … {high:+.1f}]"


def tell(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
