"""Where output goes: answers to stdout, everything said on the way to stderr, colours only on a terminal."""

import sys
from typing import Any

import orjson
from rich.console import Console

_WIDTH_ELSEWHERE = 160
"""Characters: a table in a file or a pipe has no terminal's width to keep to."""

out = Console(soft_wrap=True)
"""Answers: tables and values that a person asked for."""

err = Console(stderr=True, soft_wrap=True)
"""Progress, warnings and errors. Never mixed into an answer that a program reads."""

if not out.is_terminal:
    out.width = _WIDTH_ELSEWHERE


def print_json(value: Any) -> None:
    """Write *value* to stdout as one line of JSON, for a program to read."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()
