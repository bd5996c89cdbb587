"""An ASGI service without a framework: run it with ``uvicorn asgi_service:app``."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import inferlog

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

inferlog.configure(service_name="reviews")


async def judge(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with one word. The handler binds the route, because no framework does."""
    if scope["type"] != "http":
        return  # there is nothing to do at start and end, and no websocket
    inferlog.bind_inference(http_route="/sentiment", model_name="sentiment", model_version="v3")
    text = b""
    while (message := await receive())["type"] == "http.request":
        text += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"good" if b"good" in text else b"bad"})


app = inferlog.InferenceMiddleware(judge, client_id="authorization")
