"""A WSGI service without a framework: run it with ``gunicorn wsgi_service:application``."""

from collections.abc import Callable
from typing import Any

import inferlog

inferlog.configure(service_name="reviews")


def judge(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    """Answer with one word. The handler binds the route, because no framework does."""
    inferlog.bind_inference(http_route="/sentiment", model_name="sentiment", model_version="v3")
    text = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"good" if b"good" in text else b"bad"]


application = inferlog.InferenceWSGIMiddleware(judge, client_id="authorization")
