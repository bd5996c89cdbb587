"""Address of the preview page. A module of its own: commands import it without loading the web server."""

import os
import sys
import webbrowser
from contextlib import suppress

HOST = "127.0.0.1"
DEFAULT_PORT = 5602
"""Next to Kibana's 5601."""


def open_in_browser(url: str, *, wanted: bool | None) -> None:
    """Open *url* in a browser; *wanted* None: only on a terminal with a desktop."""
    if _is_desktop_terminal() if wanted is None else wanted:
        with suppress(webbrowser.Error):
            webbrowser.open(url)


def _is_desktop_terminal() -> bool:
    # Without a desktop, Python would open a text browser in this terminal.
    return sys.stdout.isatty() and bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
