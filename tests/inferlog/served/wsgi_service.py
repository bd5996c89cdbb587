"""A WSGI service as a web server imports it."""

import logging
from collections.abc import Callable
from typing import Any

import inferlog

inferlog.configure(service_name="scoring")


@inferlog.InferenceWSGIMiddleware
def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("the model is broken")
    logging.getLogger("scoring").info("predicting")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
