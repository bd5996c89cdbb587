"""
Example service with prometheus_client instead of the library: a counter and a histogram of its requests.

Takes the options of the example service. Measures the usual metrics of middlewares around prometheus_client: requests
by method, route and status, their duration by method and route, and requests in progress. Without an event per request
there are no percentiles of other groups, and nothing by model version.
"""

import socket
import sys
import time
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client import Counter, Gauge, Histogram, make_asgi_app

from inferlog_server.app import create_app
from inferlog_server.main import read_settings
from inferlog_server.serving import open_ready_file

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("http_requests", "Requests that were answered", ["method", "route", "status"])
SECONDS = Histogram("http_request_duration_seconds", "From first to last byte", ["method", "route"])
UNDER_WAY = Gauge("http_requests_in_progress", "Requests that are not answered yet", ["method"])


class PrometheusMiddleware:
    """Counts and times requests."""

    def __init__(self, app: "ASGIApp") -> None:
        self.app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, method, status = time.perf_counter(), scope["method"], 500

        async def send_noting_status(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        UNDER_WAY.labels(method).inc()
        try:
            await self.app(scope, receive, send_noting_status)
        finally:
            route = scope["route"].path if "route" in scope else "(none)"
            UNDER_WAY.labels(method).dec()
            REQUESTS.labels(method, route, status).inc()
            SECONDS.labels(method, route).observe(time.perf_counter() - began)


def main() -> None:
    settings = read_settings(sys.argv[1:])
    with (
        socket.create_server((settings.host, settings.port)) as listener,
        open_ready_file(settings.ready_file) as ready,
    ):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        url = "http://{}:{}".format(*listener.getsockname())
        app = create_app(settings, on_start=lambda: ready.write(url) if ready else None)
        app.add_middleware(PrometheusMiddleware)
        app.mount("/metrics", make_asgi_app())
        uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="warning", access_log=False)).run([listener])


if __name__ == "__main__":
    main()
