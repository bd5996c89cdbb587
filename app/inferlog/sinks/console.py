"""Console sink: a short copy of events and log lines for developers, rendered by structlog."""

import logging
import os
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

import orjson
from structlog.dev import ConsoleRenderer, plain_traceback

from inferlog.server_lines import OWN_LOGGERS

STREAMS: Final = frozenset({"events", "app"})
"""Streams shown on the console: no heartbeats, no prompts and answers."""

_LEVEL_OF_STATUS: Final = {"success": "info", "rejected": "warning", "cancelled": "warning", "error": "error"}
_REQUEST_ID_CHARACTERS: Final = 8
_ERROR_CHARACTERS: Final = 200
_RENDERER_KEYS: Final = frozenset(
    {"timestamp", "level", "event", "logger", "logger_name", "stack", "exception", "exc_info"}
)


class ConsoleSink:
    """
    Writes each line to standard error in a readable form. Never raises, never blocks.

    Output that the terminal does not accept immediately is skipped, as while it is stopped by Ctrl-S: the record of
    truth has it. Control characters are escaped, so that no value can control the terminal.
    """

    copies_dropped = 0

    def __init__(self) -> None:
        self._render = ConsoleRenderer(0, colors=_has_colors(), sort_keys=False, exception_formatter=plain_traceback)
        self._terminal = _open_terminal()
        self._torn = False

    def write(self, line: bytes) -> bool:
        """Show *line*. Always returns True: output missing on a terminal is not a loss of events."""
        with suppress(Exception):  # closed, removed, or full; it must not affect the service
            document = orjson.loads(line)
            values = _read_line(document) if "log" in document else _read_event(document)
            if values is not None:
                self._show(f"{self._render(None, '', values)}\n")
        return True

    def close(self) -> None:
        """Release the terminal. A later line goes to the current standard error."""
        terminal, self._terminal = self._terminal, None  # first: a child forked during the close must not close it too
        if terminal is not None:
            with suppress(OSError):
                os.close(terminal)

    def detach_after_fork(self) -> None:
        """Release the parent's terminal in a forked child."""
        self.close()

    def _show(self, text: str) -> None:
        if self._terminal is None:
            if _takes_text():
                sys.stderr.write(text)
                sys.stderr.flush()
            return
        line = ("\n" + text if self._torn else text).encode("utf-8", "replace")
        self._torn = os.write(self._terminal, line) < len(line)


def _open_terminal() -> int | None:
    """Open the terminal of standard error a second time, non-blocking; the first descriptor is shared with others."""
    try:
        name = os.ttyname(sys.stderr.fileno())
        return os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError, AttributeError):
        return None


def is_terminal() -> bool:
    """Return whether standard error is a terminal."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # removed or closed
        return False


def _has_colors() -> bool:
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _takes_text() -> bool:
    try:
        descriptor = sys.stderr.fileno()
    except OSError:
        return True  # replaced by an object in memory
    return bool(select.select((), (descriptor,), (), 0)[1])


def _read_event(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of an event to show."""
    usage = document.get("gen_ai", {}).get("usage", {})
    http = document.get("http", {})
    values = {
        "version": document.get("model_version"),
        "status": document["status"],
        "latency_ms": _to_milliseconds(document.get("latency_seconds")),
        "first_token_ms": _to_milliseconds(document.get("time_to_first_token_seconds")),
        "tokens_in": usage.get("input_tokens"),
        "tokens_out": usage.get("output_tokens"),
        "route": http.get("route"),
        "code": http.get("response", {}).get("status_code"),
    }
    return _prepare_values(
        document, values, level=_LEVEL_OF_STATUS[document["status"]], text=document["event"]["action"]
    )


def _read_line(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the values of a log line to show; None if its web server already shows it."""
    log = document["log"]
    if log["logger"] in OWN_LOGGERS and _is_shown_by_server(log["logger"]):
        return None
    rendered = _prepare_values(document, {}, level=log["level"], text=document["message"], logger=log["logger"])
    stack_trace = document.get("error", {}).get("stack_trace")
    if stack_trace is not None:
        rendered["exception"] = "\n".join(map(_escape, stack_trace.split("\n")))
    return rendered


def _prepare_values(
    document: Mapping[str, Any], values: Mapping[str, Any], *, level: str, text: str, **more: str
) -> dict[str, Any]:
    error = document.get("error", {})
    head = {
        "timestamp": datetime.fromisoformat(document["@timestamp"]).astimezone().strftime("%H:%M:%S"),
        "level": level,
        "event": text,
        **more,
        **{name: value for name, value in values.items() if value is not None},
    }
    tail = {}
    if error:
        tail["error"] = ": ".join(filter(None, (error.get("type"), error.get("message"))))[:_ERROR_CHARACTERS]
    if "request_id" in document:
        tail["request"] = document["request_id"][-_REQUEST_ID_CHARACTERS:]
    taken = _RENDERER_KEYS | head.keys() | tail.keys()
    labels = {f"{name}_" if name in taken else name: value for name, value in document.get("labels", {}).items()}
    return {
        _escape(name): _escape(value) if isinstance(value, str) else value
        for name, value in {**head, **labels, **tail}.items()
    }


def _to_milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _is_shown_by_server(name: str) -> bool:
    """Return whether a web server itself writes the lines of its logger *name* to the terminal."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None and logger.name != "root":
        if any(isinstance(handler, logging.StreamHandler) for handler in logger.handlers):
            return True
        logger = logger.parent
    return False


def _escape(text: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
