"""Desired objects of Kibana with the requests that read, create and update them; plain data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class KibanaRequest:
    """
    A request to Kibana's API.

    Attributes:
        method: "GET", "POST", "PUT".
        path: Path below the address and the space, with parameters: ``/api/…``.
        body: Body as bytes.
        file_name: Send the body as a form file with this name; None = as JSON.
    """

    method: str
    path: str
    body: bytes | None = None
    file_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredObject:
    """
    A desired object.

    Attributes:
        kind: Name in messages: "dashboard", …
        id: Readable and stable.
        source: Its file, relative to the root of the repository.
        digest: Digest of its content, without the mark; see `mark`.
        body: Content, including the mark.
        read: Path that returns it, or 404.
        digest_in: Returns the digest in that response; None if inferlog did not create the object.
        create: Request that creates it.
        update: Requests that update it; the last one writes the mark.
    """

    kind: str
    id: str
    source: str
    digest: str
    body: dict[str, Any]
    read: str
    digest_in: Callable[[Any], str | None]
    create: KibanaRequest
    update: tuple[KibanaRequest, ...]


def json_request(method: str, path: str, body: Any) -> KibanaRequest:
    """Return a request with *body* as indented JSON."""
    return KibanaRequest(method=method, path=path, body=orjson.dumps(body, option=orjson.OPT_INDENT_2))
