"""
Finds a Chromium for the tests of the preview page, and brings one where there is none.

Run by scripts/test with the environment's own Python. Never fails: where no browser can be had it says so in a
sentence, and the tests that want one fail with the same.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SETTING = "INFERLOG_CHROMIUM"
ADVICE = f"install Chromium or Chrome, or name one with {SETTING}=/path/to/chromium"
LOG = Path(__file__).resolve().parent.parent / ".venv" / "inferlog-browser.log"

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_DEBIAN_PACKAGES = ("chromium", "fonts-liberation")  # without any font there is no text to look at
_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_TO_SAY_ITS_VERSION = 60.0


class NoBrowserError(Exception):
    """There is no Chromium; says how to name one."""


def main() -> int:
    """Bring a browser, unless there is one."""
    try:
        find()
    except NoBrowserError as missing:
        if SETTING in os.environ or not bring():
            say(f"{missing}; the tests of the preview page will fail")
    return 0


def find() -> str:
    """
    Return the path of a Chromium: the one that is named, else one on PATH, else Playwright's own.

    Raises:
        NoBrowserError: If there is none.
    """
    named = os.environ.get(SETTING)
    if named:
        if runs(named):
            return named
        raise NoBrowserError(f"{SETTING} is {named!r}, which does not run as a Chromium; name one that does")
    for path in filter(None, map(shutil.which, _NAMES)):
        if runs(path):
            return path
    path = playwrights_own()
    if runs(path):
        return path
    raise NoBrowserError(f"there is no Chromium on this machine: {ADVICE}")


def runs(path: str) -> bool:
    """Tell whether the program at *path* is a Chromium. Ubuntu has one that only tells of a snap to install."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_SECONDS_TO_SAY_ITS_VERSION, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.returncode == 0 and "Chrom" in said.stdout


def playwrights_own() -> str:
    """Return where Playwright keeps its Chromium, whether it is there or not."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (takes a second, and is seldom needed)

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def bring() -> bool:
    """Install a browser in the first way that works; return whether there is one now."""
    for what, commands in ways():
        if all(done(command, what) for command in commands):
            try:
                find()
            except NoBrowserError:
                continue
            return True
    return False


def ways() -> list[tuple[str, list[list[str]]]]:
    """Return what may be tried on this machine, the best first: what it is, and the commands."""
    download = [sys.executable, "-m", "playwright", "install", "chromium"]
    administrator = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get") or (administrator and not succeeds([*administrator, "true"])):
        return [("Playwright's Chromium", [download])]
    apt = [*administrator, "apt-get", "-q"]
    install = [*apt, "install", "-y", "--no-install-recommends", *_DEBIAN_PACKAGES]
    return [
        ("Debian's chromium", [[*apt, "update"], install]),
        # The libraries that it is linked to come with Debian's, but not with Playwright's.
        ("Playwright's Chromium", [[*download, "--with-deps"]]),
    ]


def done(command: Sequence[str], what: str) -> bool:
    """Run *command* with its output in the log, saying now and then that it is at work; return whether it succeeded."""
    began = time.monotonic()
    said = 0.0
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
                if elapsed - said >= _SECONDS_BETWEEN_LINES:
                    said = elapsed
                    say(f"installing {what} for the tests ({elapsed:.0f} s); details: {LOG}")


def succeeds(command: Sequence[str]) -> bool:
    """Run *command* without a word; return whether it succeeded."""
    try:
        return subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(f"inferlog: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
