"""Where the preview page answers, and how a browser gets to see it."""

import os
import sys
import webbrowser
from contextlib import suppress

HOST = "127.0.0.1"
DEFAULT_PORT = 5602
"""Beside Kibana's 5601."""


def open_in_browser(url: str, *, wanted: bool | None) -> None:
    """Open *url* in the person's browser; None = if somebody sits at a terminal on a desktop."""
    if _somebody_sees_it() if wanted is None else wanted:
        with suppress(webbrowser.Error):
            webbrowser.open(url)


def _somebody_sees_it() -> bool:
    # Without a desktop, Python would open a browser of text in the very terminal.
    return sys.stdout.isatty() and bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
