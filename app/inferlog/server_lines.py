"""
What web servers and HTTP clients say through Python's ``logging``: kept to what may be logged, and tied to its request.

A server's access lines hold the query string, and gunicorn's also headers of the client: of these lines only method,
path and status are kept. In what else they and the clients say, addresses lose their query string.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

OWN_LOGGERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "gunicorn.error", "gunicorn.access")
"""Loggers that a server gives handlers of its own, so that their lines do not come to the root logger."""

# The response carries the ids of its request; gunicorn writes the line when the request's own context is left.
_ID_ATOMS: Final = (("request_id", "{x-request-id}o"), ("correlation_id", "{x-correlation-id}o"))
_QUOTES_ADDRESSES: Final = re.compile(
    r"(?:gunicorn\.error|werkzeug|httpx2?|httpcore2?|urllib3|requests|aiohttp\.client)(?:\.|$)"
)
_QUERY: Final = re.compile(r"(/[^\s?]*)\?\S*")


def message_of(record: logging.LogRecord) -> str:
    """Return the text of *record*; of a server's or a client's line only what may be logged."""
    arguments = record.args
    match record.name:
        case "uvicorn.access" if isinstance(arguments, tuple) and len(arguments) == 5:
            _, method, path, _, status = arguments
            return f"{method} {_path(path)} {status}"
        case "gunicorn.access" if isinstance(arguments, Mapping):
            # Its atom for the path is missing where the application has failed; the request line is always there.
            method, _, target_and_protocol = str(arguments["r"]).partition(" ")
            return f"{method} {_path(target_and_protocol.rpartition(' ')[0])} {arguments['s']}"
        case name if _QUOTES_ADDRESSES.match(name):
            return _QUERY.sub(r"\1", record.getMessage())
        case _:
            return record.getMessage()


def _path(target: Any) -> str:
    return str(target).partition("?")[0]


def ids_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the ids that a server's line itself tells of its request."""
    arguments = record.args
    if record.name != "gunicorn.access" or not isinstance(arguments, Mapping):
        return {}
    return {name: arguments[atom] for name, atom in _ID_ATOMS if arguments[atom] != "-"}
