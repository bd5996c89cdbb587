"""
Finds a Chromium for the tests of the preview page, or installs one.

Run by scripts/test with the Python of .venv. Never fails: without a browser it prints one sentence, and the tests that
need one fail with the same sentence.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SETTING = "INFERLOG_CHROMIUM"
ADVICE = f"install Chromium or Chrome, or set {SETTING}=/path/to/chromium"
LOG = Path(__file__).resolve().parents[2] / ".venv" / "inferlog-browser.log"

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_DEBIAN_PACKAGES = ("chromium", "fonts-liberation")  # without a font, pages have no text
_SECONDS_BETWEEN_LINES = 5.0
_VERSION_TIMEOUT_SECONDS = 60.0


class NoBrowserError(Exception):
    """No Chromium was found; the message has the next step."""


def main() -> int:
    """Install a browser unless there is one."""
    try:
        find()
    except NoBrowserError as missing:
        if SETTING in os.environ or not install_browser():
            print_status(f"{missing}; the tests of the preview page will fail")
    return 0


def find() -> str:
    """
    Return the path of a Chromium: the configured one, else one on PATH, else Playwright's own.

    Raises:
        NoBrowserError: If none works.
    """
    named = os.environ.get(SETTING)
    if named:
        if is_chromium(named):
            return named
        raise NoBrowserError(f"{SETTING} is {named!r}, which does not run as a Chromium; set it to one that does")
    for path in filter(None, map(shutil.which, _NAMES)):
        if is_chromium(path):
            return path
    path = find_playwright_path()
    if is_chromium(path):
        return path
    raise NoBrowserError(f"there is no Chromium on this machine: {ADVICE}")


def is_chromium(path: str) -> bool:
    """Return whether the program at *path* is a Chromium; on Ubuntu it can be a stub for a snap."""
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_VERSION_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and "Chrom" in done.stdout


def find_playwright_path() -> str:
    """Return the path of Playwright's Chromium, which may not be installed."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (takes a second, and is seldom needed)

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def install_browser() -> bool:
    """Install a browser with the first method that works; return whether there is one now."""
    for what, commands in list_methods():
        if all(run_logged(command, what) for command in commands):
            try:
                find()
            except NoBrowserError:
                continue
            return True
    return False


def list_methods() -> list[tuple[str, list[list[str]]]]:
    """Return the methods for this machine, best first: name and commands."""
    download = [sys.executable, "-m", "playwright", "install", "chromium"]
    administrator = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get") or (administrator and not succeeds([*administrator, "true"])):
        return [("Playwright's Chromium", [download])]
    apt = [*administrator, "apt-get", "-q"]
    install = [*apt, "install", "-y", "--no-install-recommends", *_DEBIAN_PACKAGES]
    return [
        ("Debian's chromium", [[*apt, "update"], install]),
        # Debian's package includes its shared libraries; Playwright's needs --with-deps.
        ("Playwright's Chromium", [[*download, "--with-deps"]]),
    ]


def run_logged(command: Sequence[str], what: str) -> bool:
    """Run *command* with its output in the log; print progress; return whether it succeeded."""
    began = time.monotonic()
    reported_seconds = 0.0
    with LOG.open("a") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )
        while True:
            try:
                return process.wait(0.2) == 0
            except subprocess.TimeoutExpired:
                elapsed = time.monotonic() - began
                if elapsed - reported_seconds >= _SECONDS_BETWEEN_LINES:
                    reported_seconds = elapsed
                    print_status(f"installing {what} for the tests ({elapsed:.0f} s); details: {LOG}")


def succeeds(command: Sequence[str]) -> bool:
    """Run *command* silently; return whether it succeeded."""
    try:
        return subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def print_status(text: str) -> None:
    print(f"inferlog: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
