"""One object as it should be in Kibana, and the requests that read, create and update it: plain data, nothing sent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One call of Kibana's API.

    Attributes:
        method: "GET", "POST", "PUT".
        path: Below the address and the space, with its parameters: ``/api/…``.
        body: What is sent, to the byte.
        file_name: The body goes as a file of this name in a form; None: as it is, as JSON.
    """

    method: str
    path: str
    body: bytes | None = None
    file_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    One object as it should be.

    Attributes:
        kind: As it is shown to people: "dashboard", …
        id: Readable, and the same for each run.
        source: The file that says so, relative to the repository's root.
        digest: Of all that the object is made of, without the mark; see `mark`.
        body: What it is created with, mark included.
        read: Path that answers with it, or with 404.
        digest_in: Takes such an answer; returns the digest that the object was made with, None if it is not ours.
        create: Makes it.
        update: Make it what it should be, if it exists; the mark comes with the last one.
    """

    kind: str
    id: str
    source: str
    digest: str
    body: dict[str, Any]
    read: str
    digest_in: Callable[[Any], str | None]
    create: Request
    update: tuple[Request, ...]


def json_request(method: str, path: str, body: Any) -> Request:
    """Return a call that sends *body* as JSON, laid out so that a person can read it."""
    return Request(method=method, path=path, body=orjson.dumps(body, option=orjson.OPT_INDENT_2))
