"""Consoles: results to stdout, progress and errors to stderr, colours only on a terminal."""

import re
import sys
from collections.abc import Iterable
from typing import Any

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_WIDTH_ELSEWHERE = 160
"""Width in characters of a table in a file or a pipe."""

_BEYOND_ASCII = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def escape_control(text: str) -> str:
    """Escape control characters, including newlines, so that text from a client cannot control the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


class PlainConsole(Console):
    """
    A console that escapes control characters in every text, so that none can control the terminal.

    A second line of defence behind `escape_control`. Newlines are kept.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render with control characters escaped."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                text = "\n".join(map(escape_control, segment.text.split("\n")))
                yield Segment(text, segment.style)


out = PlainConsole(soft_wrap=True)
"""Results of a command: tables and values."""

err = PlainConsole(stderr=True, soft_wrap=True)
"""Progress, warnings and errors; never mixed into a result that a program reads."""

if not out.is_terminal:
    out.width = _WIDTH_ELSEWHERE


def print_json(value: Any) -> None:
    """Write *value* to stdout as one line of JSON, with every control character escaped."""
    text = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE).decode()
    # JSON escapes ASCII control characters; the others can only occur inside its strings.
    sys.stdout.buffer.write(_BEYOND_ASCII.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode())
    sys.stdout.buffer.flush()
