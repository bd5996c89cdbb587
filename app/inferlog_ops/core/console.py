"""Consoles: results to stdout, progress and errors to stderr, colours only on a terminal."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedWriter, TextIOWrapper
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

STDOUT = "stdout"
"""``filename`` of an `OSError` of a write to stdout."""

_STDERR = 2
"""Descriptor of the standard error stream."""

_WIDTH_ELSEWHERE = 160
"""Width in characters of a table in a file or a pipe."""

_BEYOND_ASCII = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def escape_control(text: str) -> str:
    """Escape control characters, including newlines, so that text from a client cannot control the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def format_count(count: int, noun: str) -> str:
    """Return *count* with *noun*, in the plural unless it is 1."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_bytes(size_bytes: int) -> str:
    """Return *size_bytes* in the largest unit of which it has at least one: ``71.3 MB``."""
    if size_bytes < 1000:
        return format_count(size_bytes, "byte")
    size = size_bytes / 1000
    for unit in ("kB", "MB", "GB"):
        if size < 999.95:  # not 1000.0
            return f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


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


class _NamedStdout(TextIOWrapper):
    """
    Standard output whose errors name it: those of a write otherwise have no ``filename``.

    Above the buffer, not below it: a Ctrl-C after a write of Python code below would let the buffer write again.
    """

    def write(self, text: str, /) -> int:
        with _name_stdout():
            return super().write(text)

    def flush(self) -> None:
        with _name_stdout():
            super().flush()


@contextmanager
def _name_stdout() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = STDOUT
        raise


def occupy_closed_streams() -> None:
    """
    Replace each standard stream that was closed before the start by one that discards its text.

    Otherwise the next file that is opened takes its descriptor, and receives the text of C libraries and of children.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (as long as the process)


def prepare_stdout() -> None:
    """
    Replace ``sys.stdout`` by one that names itself in errors, and escapes characters that its encoding lacks.

    A redirected ``sys.stdout`` stays as it is, and one that was closed before the start discards its text.
    """
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (as long as the process)
    elif sys.__stdout__ is not None and sys.stdout is sys.__stdout__:
        sys.stdout = _NamedStdout(
            sys.stdout.buffer,
            encoding=sys.stdout.encoding,
            errors="backslashreplace",
            line_buffering=sys.stdout.isatty(),
            write_through=not isinstance(sys.stdout.buffer, BufferedWriter),
        )


def discard_stdout() -> None:
    """Discard the text that could not be written: Python's flush at exit would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Any) -> None:
    """Write *value* to stdout as one line of JSON, with every control character escaped."""
    text = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE).decode()
    # JSON escapes ASCII control characters; the others can only occur inside its strings.
    with _name_stdout():
        sys.stdout.buffer.write(_BEYOND_ASCII.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode())
        sys.stdout.buffer.flush()
