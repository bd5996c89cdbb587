"""Raw requests that no client library would send."""

import socket
from contextlib import suppress
from urllib.parse import urlsplit

PATIENCE_SECONDS = 15.0


def dial(url: str) -> socket.socket:
    """Open a connection to *url* and send nothing."""
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=PATIENCE_SECONDS)


def build_request(
    body: bytes, *headers: bytes, path: bytes = b"/v1/chat/completions", length: int | None = None
) -> bytes:
    """Return a POST request with *body*; its length is taken from *headers*, *length*, or the body."""
    if not any(header.lower().startswith((b"transfer-encoding", b"content-length")) for header in headers):
        headers = (*headers, b"content-length: %d" % (len(body) if length is None else length))
    head = [b"POST %b HTTP/1.1" % path, b"host: test", b"content-type: application/json", *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def exchange(url: str, raw: bytes) -> bytes:
    """Send *raw* and return the response up to the end of the connection."""
    with dial(url) as connection:
        with suppress(OSError):  # closed by the service: its response can still be read
            connection.sendall(raw)
        return _receive(connection)


def _receive(connection: socket.socket) -> bytes:
    received = b""
    with suppress(ConnectionError):
        while piece := connection.recv(65_536):
            received += piece
    return received
