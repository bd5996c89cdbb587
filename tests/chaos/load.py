"""
Steady open-loop load: one request at each tick, each on its own connection.

Runs as a separate process (``python -m tests.chaos.load URL RATE FILE``), so that fault injection does not disturb its
timing. Writes one record for each request. SIGTERM ends it after the open requests are answered.
"""

import asyncio
import itertools
import json
import secrets
import signal
import sys
import time
from contextlib import suppress
from typing import BinaryIO, Final
from urllib.parse import urlsplit

import orjson

MODEL: Final = "smollm2-135m-instruct"
PATIENCE_SECONDS: Final = 60.0
"""Timeout of a request."""

_LAST_ANSWERS_SECONDS: Final = 15.0
"""Drain timeout for open requests. Must be shorter than ``Child.stop()``'s kill timeout."""

_BODY: Final = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Are you there?"}]})


class Load:
    """
    Sends requests to one service.

    Args:
        url: Address of the service.
        rate: Requests per second.
        records: Receives one line for each request.
    """

    def __init__(self, url: str, rate: float, records: BinaryIO) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._rate = rate
        self._records = records
        self._run_id = secrets.token_hex(4)
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Send no more requests."""
        self._ended.set()

    async def run(self) -> None:
        """Send requests until `end`, and return when each has its record."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as patience, asyncio.TaskGroup() as requests:
                await self._send(requests)
                patience.reschedule(asyncio.get_running_loop().time() + _LAST_ANSWERS_SECONDS)

    async def _send(self, requests: asyncio.TaskGroup) -> None:
        began = time.monotonic()
        for number in itertools.count():
            due = began + number / self._rate
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), max(0.0, due - time.monotonic()))
            if self._ended.is_set():
                return
            requests.create_task(self._send_request(f"chaos-{self._run_id}-{number:07d}", due))

    async def _send_request(self, correlation_id: str, due: float) -> None:
        intended_at = time.time() - (time.monotonic() - due)
        status_code = None
        try:
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
                status_code = await asyncio.wait_for(self._read_status(correlation_id), PATIENCE_SECONDS)
        finally:
            self._record(correlation_id, intended_at, due, status_code)

    def _record(self, correlation_id: str, intended_at: float, due: float, status_code: int | None) -> None:
        record = {
            "correlation_id": correlation_id,
            "intended_at": round(intended_at, 6),
            "ended_after_seconds": round(time.monotonic() - due, 6),
            "status_code": status_code,
        }
        self._records.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))

    async def _read_status(self, correlation_id: str) -> int:
        """
        Return the status of a complete response.

        Raises:
            OSError: If the connection fails.
            asyncio.IncompleteReadError: If the response is cut.
        """
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: {self._host}\r\nconnection: close\r\n"
                f"content-type: application/json\r\nx-correlation-id: {correlation_id}\r\n"
                f"content-length: {len(_BODY)}\r\n\r\n{_BODY}".encode()
            )
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
        finally:
            writer.close()
        return int(head.split(" ", 2)[1])


async def _main(url: str, rate: float, path: str) -> None:
    with open(path, "wb", buffering=0) as records:  # noqa: ASYNC230, PTH123 (once, before any request)
        load = Load(url, rate, records)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, load.end)
        await load.run()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2]), sys.argv[3]))
