"""One request to the example service, without sockets or logging, as other work of the process."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any

from inferlog_server.app import create_app
from inferlog_server.inference.versions import SimulatedFigures, Version
from inferlog_server.settings import ServerSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

NO_TIME = SimulatedFigures(first_token_median_seconds=0, token_median_seconds=0, sigma=0)
BODY = json.dumps(
    {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": "Tell me a story."}]}
).encode()
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/v1/chat/completions",
    "root_path": "",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))],
}


def build_example_request() -> Callable[[], Awaitable[None]]:
    """Return a function that sends one request to the service."""
    service = create_app(
        ServerSettings(backend="simulated", logging=False, versions=(Version(name="v1", simulated=NO_TIME),))
    )

    return partial(send_request, service, SCOPE, BODY)


async def send_request(app: "ASGIApp", scope: Mapping[str, Any], body: bytes) -> None:
    """Send one request to *app*, without sockets."""
    messages = iter([{"type": "http.request", "body": body}])

    async def receive() -> dict[str, Any]:
        for message in messages:
            return message
        return await asyncio.Future()  # the client stays connected

    await app(dict(scope), receive, _send)


async def _send(message: MutableMapping[str, Any]) -> None:
    assert message.get("status", 200) == 200
