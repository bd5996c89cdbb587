"""Where output goes: answers to stdout, everything said on the way to stderr, colours only on a terminal."""

import re
import sys
from collections.abc import Iterable
from typing import Any

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_WIDTH_ELSEWHERE = 160
"""Characters: a table in a file or a pipe has no terminal's width to keep to."""

_BEYOND_ASCII = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Spell out control characters, ends of lines too: what a client sent must not steer the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


class PlainConsole(Console):
    """
    A console on which no text can do anything but stand there.

    Whoever prints what others wrote spells it out; where that was forgotten, this does. Ends of lines stay.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as any console, but for control characters in a text."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                text = "\n".join(map(printable, segment.text.split("\n")))
                yield Segment(text, segment.style)


out = PlainConsole(soft_wrap=True)
"""Answers: tables and values that a person asked for."""

err = PlainConsole(stderr=True, soft_wrap=True)
"""Progress, warnings and errors. Never mixed into an answer that a program reads."""

if not out.is_terminal:
    out.width = _WIDTH_ELSEWHERE


def print_json(value: Any) -> None:
    """Write *value* to stdout as one line of JSON, for a program to read; also a terminal may be shown it."""
    text = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE).decode()
    # JSON itself escapes the control characters of ASCII; the others stand in its texts only.
    sys.stdout.buffer.write(_BEYOND_ASCII.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode())
    sys.stdout.buffer.flush()
