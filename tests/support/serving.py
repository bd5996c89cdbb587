"""Real servers on real sockets, in a thread of the test: uvicorn for ASGI, werkzeug's for WSGI, and for stand-ins."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import uvicorn
from werkzeug.serving import ThreadedWSGIServer

from tests.support.polling import wait_until

CERTIFICATE = Path(__file__).with_name("certificate.pem")
"""Key and certificate of a server on 127.0.0.1, made for tests and valid for 100 years."""


@contextmanager
def serve_app(app: Any, *, lifespan: Literal["on", "off"] = "off") -> Iterator[str]:
    """Serve *app* on a free port of 127.0.0.1; yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan=lifespan))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, what="uvicorn")
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serve_wsgi(app: Any) -> Iterator[str]:
    """
    Serve *app* on a free port of 127.0.0.1, each connection in its own thread; yield its address.

    Joins all threads at the end, so that *app* has finished its work after the last byte. Clients must close first.
    """
    server = ThreadedWSGIServer("127.0.0.1", 0, app)
    server.daemon_threads = False  # or server_close() would not wait for them
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serve_handler(handler: type[BaseHTTPRequestHandler], *, certificate: Path | None = None) -> Iterator[str]:
    """Serve on a free port of 127.0.0.1, with *certificate* (key and certificate, PEM) over TLS; yield the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]  # a client that goes away is meant to
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
