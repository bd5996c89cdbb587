"""
Open-loop client with a fixed rate and persistent connections, as a separate process.

    .venv/bin/python -m benchmarks.paced_client --url http://127.0.0.1:8000 --rate 500 --seconds 60

The n-th request is due n / rate seconds after the first, and its latency counts from then, so that a slow service also
delays the requests after it. Requests still due when the time is over are not sent, which lowers the achieved rate.
Each request has a correlation id made of the run's name and its number, to identify its event. Prints a line of JSON
with the progress every second.
"""

import argparse
import asyncio
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial

import orjson

from benchmarks.chat_client import Connection, ResponseTimes, build_chat_request

MODEL = "smollm2-135m-instruct"
CONNECTIONS = 32
"""Few enough to be used every few seconds: the service closes idle connections."""
REQUESTS_A_CONNECTION = 1_000
"""Requests before a connection is replaced: the service's workers share connections, not requests."""
SECONDS_BETWEEN_CONNECTIONS = 0.02
"""Spread of the connections over time, so that one worker does not accept all."""
SECONDS_BETWEEN_LINES = 1.0


@dataclass(slots=True)
class Tally:
    """
    Requests by their end.

    Attributes:
        sent: Sent requests.
        answered: Requests with a complete response.
        failed: Requests without one.
        why: Error of the last failed request.
        recent_seconds: Latency of each response since the last line, from when its request was due.
    """

    sent: int = 0
    answered: int = 0
    failed: int = 0
    why: str | None = None
    recent_seconds: list[float] = field(default_factory=list)

    def take_line(self, *, ended: bool) -> bytes:
        """Return the progress as a line, and reset the recent latencies."""
        recent, self.recent_seconds = self.recent_seconds, []
        p50, p99 = compute_quantiles(recent)
        figures = {"sent": self.sent, "answered": self.answered, "failed": self.failed, "why": self.why}
        return orjson.dumps({**figures, "ended": ended, "p50_seconds": p50, "p99_seconds": p99})


def compute_quantiles(seconds: list[float]) -> tuple[float | None, float | None]:
    """Return p50 and p99; None without values."""
    if len(seconds) < 2:
        return (seconds[0], seconds[0]) if seconds else (None, None)
    hundredths = statistics.quantiles(seconds, n=100, method="inclusive")
    return hundredths[49], hundredths[98]


def build_correlation_id(run: str, number: int) -> str:
    return f"{run}-{number}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="address of the service")
    parser.add_argument("--rate", type=float, default=500, help="requests per second")
    parser.add_argument("--seconds", type=float, default=60, help="duration")
    parser.add_argument("--run", default="paced", help="prefix of the correlation ids")
    options = parser.parse_args()
    asyncio.run(send_paced(options.url, options.rate, round(options.rate * options.seconds), options.run))


async def send_paced(url: str, rate: float, requests: int, run: str) -> None:
    tally = Tally()
    head, _, rest = build_chat_request(MODEL, stream=False).partition(b"\r\n")
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    asked: Counter[Connection] = Counter()
    for number in range(min(CONNECTIONS, max(1, round(rate)))):
        idle.put_nowait(connection := await Connection.open(url))
        asked[connection] = number * REQUESTS_A_CONNECTION // CONNECTIONS  # so that they end one after the other
        await asyncio.sleep(SECONDS_BETWEEN_CONNECTIONS)
    lines = asyncio.create_task(report_regularly(tally))
    began = time.perf_counter()
    on_their_way: set[asyncio.Future[ResponseTimes]] = set()
    for number in range(requests):
        due = began + number / rate
        if (early_seconds := due - time.perf_counter()) > 0:
            await asyncio.sleep(early_seconds)
        elif time.perf_counter() > began + requests / rate:
            break
        connection = await idle.get()
        if asked[connection] == REQUESTS_A_CONNECTION or not connection.is_open:
            connection.close()
            del asked[connection]
            connection = await Connection.open(url)
        asked[connection] += 1
        request = b"%s\r\nx-correlation-id: %s\r\n%s" % (head, build_correlation_id(run, number).encode(), rest)
        answer = connection.ask(request)
        tally.sent += 1
        on_their_way.add(answer)
        answer.add_done_callback(on_their_way.discard)
        answer.add_done_callback(partial(count, tally, idle, connection, due))
    if on_their_way:
        await asyncio.wait(on_their_way)
    lines.cancel()
    await asyncio.sleep(0)  # the callbacks of the last answer
    print(tally.take_line(ended=True).decode(), flush=True)
    for connection in asked:
        connection.close()


def count(
    tally: Tally,
    idle: asyncio.Queue[Connection],
    connection: Connection,
    due: float,
    answer: asyncio.Future[ResponseTimes],
) -> None:
    if error := answer.exception():
        tally.failed += 1
        tally.why = str(error)
    else:
        tally.answered += 1
        tally.recent_seconds.append(time.perf_counter() - due)
    idle.put_nowait(connection)


async def report_regularly(tally: Tally) -> None:
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_LINES)
        print(tally.take_line(ended=False).decode(), flush=True)


if __name__ == "__main__":
    main()
