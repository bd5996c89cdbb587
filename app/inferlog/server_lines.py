"""
Log records of web servers and HTTP clients: reduced to safe content and linked to their request.

A server's access lines contain the query string, gunicorn's also client headers: only method, path and status are
kept. In the other records of servers and clients, URLs lose their query string.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

OWN_LOGGERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "gunicorn.error", "gunicorn.access")
"""Loggers with handlers of the server, whose records do not reach the root logger."""

# The response has the ids of its request; gunicorn writes the line after the request's context has ended.
_ID_ATOMS: Final = (("request_id", "{x-request-id}o"), ("correlation_id", "{x-correlation-id}o"))
_QUOTES_ADDRESSES: Final = re.compile(
    r"(?:uvicorn\.error|gunicorn\.error|hypercorn|werkzeug|websockets|aiohttp|tornado\.access|django\.server"
    r"|httpx2?|httpcore2?|urllib3|requests)(?:\.|$)"
)
_WORD: Final = re.compile(r"\S+")


def get_message(record: logging.LogRecord) -> str:
    """Return the text of *record*, reduced to safe content for a server's or a client's record."""
    arguments = record.args
    match record.name:
        case "uvicorn.access" if isinstance(arguments, tuple) and len(arguments) == 5:
            _, method, path, _, status = arguments
            return f"{method} {_strip_query(path)} {status}"
        case "gunicorn.access" if isinstance(arguments, Mapping):
            # The atom for the path is missing if the application has failed; the request line is always present.
            method, _, target_and_protocol = str(arguments["r"]).partition(" ")
            return f"{method} {_strip_query(target_and_protocol.rpartition(' ')[0])} {arguments['s']}"
        case name if _QUOTES_ADDRESSES.match(name):
            return _WORD.sub(_strip_query_of_address, record.getMessage())
        case _:
            return record.getMessage()


def _strip_query(target: Any) -> str:
    return str(target).partition("?")[0]


def _strip_query_of_address(word: re.Match[str]) -> str:
    address, question_mark, query = word[0].partition("?")
    if not question_mark or "/" not in address:
        return word[0]
    return f'{address}"' if query.endswith('"') else address


def get_ids(record: logging.LogRecord) -> dict[str, Any]:
    """Return the request's ids from a gunicorn access record; empty for any other record."""
    arguments = record.args
    if record.name != "gunicorn.access" or not isinstance(arguments, Mapping):
        return {}
    return {name: arguments[atom] for name, atom in _ID_ATOMS if arguments[atom] != "-"}
