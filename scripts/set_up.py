"""
Brings .venv beside this checkout to what the lock files say: pinned versions, checked by hash, wheels only.

Needs nothing but the standard library. Says nothing when nothing is to do. Safe to interrupt and to run twice at once.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "inferlog-setup.json"
LOG = VENV / "inferlog-setup.log"
LOCKS = ROOT / "infra" / "python"
DEV_LOCK = "requirements-dev.lock"
DEMO_LOCKS = ("requirements.lock", "requirements-traffic.lock")
"""What the demo runs, and what sends it requests. The lock for developing holds all of both, at the same versions."""

NEEDED_BYTES = 1_500_000_000
SECONDS_BETWEEN_LINES = 5.0


class SetUpError(Exception):
    """What keeps the environment from being set up, in one sentence."""


def main() -> int:
    """Set up, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what the tests need")
    wanted = [LOCKS / name for name in ([DEV_LOCK] if parser.parse_args().dev else DEMO_LOCKS)]
    try:
        check_machine()
        with alone():
            for lock in wanted:
                set_up(lock)
    except SetUpError as error:
        print(f"inferlog: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def check_machine() -> None:
    """Refuse a machine for which there are no wheels."""
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise SetUpError(f"this is {system} on {machine}; the demo and the tests run on Linux on x86_64")


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other set-up works on this checkout."""
    try:
        lock = (ROOT / ".venv.lock").open("w")
    except OSError as error:
        raise SetUpError(f"{ROOT} cannot be written ({error.strerror}); use a checkout of your own") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up(wanted: Path) -> None:
    """Make or renew the environment, unless it already is what *wanted* says."""
    state = fingerprints()
    installed = stamped()
    same_python = installed.get("python") == state["python"]
    if same_python and installed.get(wanted.name) == state[wanted.name]:
        return
    if not same_python:
        check_room()
        make_venv()
    else:
        STAMP.unlink()  # until the end it is neither the one nor the other
    install(wanted)
    # The lock for developing may say something else by now; the demo's go together.
    before = {name: installed[name] for name in DEMO_LOCKS if same_python and name in installed}
    now = state if wanted.name == DEV_LOCK else {name: state[name] for name in ("python", wanted.name)}
    STAMP.write_text(json.dumps(before | now))


def fingerprints() -> dict[str, str]:
    """Return what the environment depends on: the Python with its place, and each lock with the project's own data."""
    project = (ROOT / "pyproject.toml").read_bytes()
    state = {"python": f"{sys.version} in {VENV}"}
    for lock in LOCKS.glob("*.lock"):
        state[lock.name] = hashlib.sha256(lock.read_bytes() + project).hexdigest()
    return state


def stamped() -> dict[str, str]:
    """Return the fingerprints at the end of the last set-up; nothing if it did not come to an end."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and (VENV / "bin" / "python").exists() else {}


def check_room() -> None:
    """Refuse a disk on which the environment would not fit."""
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        raise SetUpError(
            f"{ROOT} has {free / 1e9:.1f} GB free; {NEEDED_BYTES / 1e9:.1f} GB are needed: make room, "
            "or use a checkout on another disk"
        )


def make_venv() -> None:
    """Make the environment anew."""
    say("making a virtual environment in .venv")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        hint = "on Debian and Ubuntu: apt install python3-venv"
        raise SetUpError(f"python -m venv failed: {last_line(made.stdout + made.stderr)}; {hint}")


def install(wanted: Path) -> None:
    """Install what *wanted* names, then the project itself from this checkout."""
    packages = re.findall(r"^([A-Za-z0-9_.-]+)==", wanted.read_text(), re.MULTILINE)
    pip("--require-hashes", "--only-binary=:all:", "--requirement", str(wanted), packages=len(packages))
    pip("--no-build-isolation", "--editable", str(ROOT), packages=1)


def pip(*arguments: str, packages: int) -> None:
    """Run ``pip install``, showing how far it is."""
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--no-deps", "--no-input", "--progress-bar=off"]
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_RETRIES": "2", "PYTHONUTF8": "1"}
    process = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    progress = Progress(packages)
    with LOG.open("a") as log, progress:
        for line in process.stdout or ():
            log.write(line)
            progress.note(line)
    if process.wait() != 0:
        raise SetUpError(explained(LOG.read_text()))


def explained(output: str) -> str:
    """Return what pip's *output* means for the person at the terminal."""
    if re.search(r"DO NOT MATCH THE HASHES", output):
        return f"a package is not the one that the lock file names, and was not installed; details: {LOG}"
    if "No space left" in output:
        return f"the disk of {VENV} is full; make room and run this again"
    if re.search("NewConnectionError|NameResolutionError|ConnectTimeoutError|ProxyError|Network is unreach", output):
        return (
            "the package index cannot be reached, and this first run needs it: check the network "
            f"(or pip's own settings: proxy, index) and run this again; details: {LOG}"
        )
    return f"pip install failed: {last_line(output)}; details: {LOG}"


def last_line(text: str) -> str:
    """Return the last line that says something of an error, or the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no output"])[-1][:300]


class Progress:
    """Shows how far pip is: one line that is renewed on a terminal, a line now and then elsewhere."""

    def __init__(self, packages: int) -> None:
        self._packages = packages
        self._collected = 0
        self._doing = "starting"
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._shower = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> None:
        self._shower.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._shower.join()

    def note(self, line: str) -> None:
        """Take a *line* of pip's output."""
        if match := re.match(r"Collecting ([A-Za-z0-9_.-]+)", line):
            self._collected += 1
            self._doing = f"{self._collected}/{self._packages} {match[1]}"
        elif line.startswith("Installing collected packages"):
            self._doing = f"unpacking {self._packages}"

    def _show(self) -> None:
        terminal = sys.stderr.isatty()
        while not self._ended.wait(0.2 if terminal else SECONDS_BETWEEN_LINES):
            text = f"installing packages: {self._doing} ({time.monotonic() - self._began:.0f} s)"
            if terminal:
                print(f"\r\033[Kinferlog: {text}", end="", file=sys.stderr, flush=True)
            else:
                say(text)
        if terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(f"inferlog: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
