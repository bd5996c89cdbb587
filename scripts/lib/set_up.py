"""
Installs the lock files into .venv of this checkout: pinned versions, checked by hash, wheels only.

Needs only the standard library. Prints nothing if .venv is up to date. Safe to interrupt and to run in parallel.
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

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "inferlog-setup.json"
LOG = VENV / "inferlog-setup.log"
LOCKS = ROOT / "infra" / "python"
DEV_LOCK = "requirements-dev.lock"
DEMO_LOCKS = ("requirements.lock", "requirements-traffic.lock")
"""Packages of the demo and of its load generator. The development lock contains both, with the same versions."""

NEEDED_BYTES = 1_500_000_000
SECONDS_BETWEEN_LINES = 5.0


class SetUpError(Exception):
    """Reason why the set-up failed, in one sentence."""


def main() -> int:
    """Set up .venv and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also install the packages of the tests")
    wanted = [LOCKS / name for name in ([DEV_LOCK] if parser.parse_args().dev else DEMO_LOCKS)]
    try:
        check_machine()
        with hold_lock():
            for lock in wanted:
                set_up(lock)
    except SetUpError as error:
        print(f"inferlog: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def check_machine() -> None:
    """Reject a machine without wheels."""
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise SetUpError(f"this is {system} on {machine}; the demo and the tests run on Linux on x86_64")


@contextmanager
def hold_lock() -> Iterator[None]:
    """Hold the lock of this checkout, after any other set-up."""
    try:
        lock = (ROOT / ".venv.lock").open("w")
    except OSError as error:
        raise SetUpError(f"{ROOT} is not writable ({error.strerror}); use your own checkout") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print_status("waiting for another set-up of this checkout")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up(wanted: Path) -> None:
    """Create or update .venv unless it already matches the lock file *wanted*."""
    state = compute_fingerprints()
    installed = read_stamp()
    same_python = installed.get("python") == state["python"]
    if same_python and installed.get(wanted.name) == state[wanted.name]:
        return
    if not same_python:
        check_room()
        make_venv()
    else:
        STAMP.unlink()  # invalid until the installation is complete
    install(wanted)
    # The development lock may have changed since; the locks of the demo match each other.
    before = {name: installed[name] for name in DEMO_LOCKS if same_python and name in installed}
    now = state if wanted.name == DEV_LOCK else {name: state[name] for name in ("python", wanted.name)}
    STAMP.write_text(json.dumps(before | now))


def compute_fingerprints() -> dict[str, str]:
    """Return the fingerprint of Python and its path, and of each lock file with pyproject.toml."""
    project = (ROOT / "pyproject.toml").read_bytes()
    state = {"python": f"{sys.version} in {VENV}"}
    for lock in LOCKS.glob("*.lock"):
        state[lock.name] = hashlib.sha256(lock.read_bytes() + project).hexdigest()
    return state


def read_stamp() -> dict[str, str]:
    """Return the fingerprints of the last set-up; empty if it was not completed."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and (VENV / "bin" / "python").exists() else {}


def check_room() -> None:
    """Reject a disk without enough free space."""
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        raise SetUpError(
            f"{ROOT} has {free / 1e9:.1f} GB free; {NEEDED_BYTES / 1e9:.1f} GB are needed: make room, "
            "or use a checkout on another disk"
        )


def make_venv() -> None:
    """Create .venv again from scratch."""
    print_status("creating a virtual environment in .venv")
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        hint = "on Debian and Ubuntu: apt install python3-venv"
        raise SetUpError(f"python -m venv failed: {find_last_line(made.stdout + made.stderr)}; {hint}")


def install(wanted: Path) -> None:
    """Install the packages in *wanted*, then the project from this checkout."""
    packages = re.findall(r"^([A-Za-z0-9_.-]+)==", wanted.read_text(), re.MULTILINE)
    run_pip("--require-hashes", "--only-binary=:all:", "--requirement", str(wanted), packages=len(packages))
    run_pip("--no-build-isolation", "--editable", str(ROOT), packages=1)


def run_pip(*arguments: str, packages: int) -> None:
    """Run ``pip install`` and show its progress."""
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
        raise SetUpError(explain_failure(LOG.read_text()))


def explain_failure(output: str) -> str:
    """Return one sentence for the user about pip's *output*."""
    if re.search(r"DO NOT MATCH THE HASHES", output):
        return f"a package differs from the lock file and was not installed; details: {LOG}"
    if "No space left" in output:
        return f"the disk of {VENV} is full; make room and run this again"
    if re.search("NewConnectionError|NameResolutionError|ConnectTimeoutError|ProxyError|Network is unreach", output):
        return (
            "the package index cannot be reached, and this first run needs it: check the network "
            f"(or pip's own settings: proxy, index) and run this again; details: {LOG}"
        )
    return f"pip install failed: {find_last_line(output)}; details: {LOG}"


def find_last_line(text: str) -> str:
    """Return the last line with an error, or the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no output"])[-1][:300]


class Progress:
    """Progress of pip: one line, replaced in place, on a terminal; a new line every few seconds elsewhere."""

    def __init__(self, packages: int) -> None:
        self._packages = packages
        self._collected = 0
        self._doing = "starting"
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def note(self, line: str) -> None:
        """Update the progress from a *line* of pip's output."""
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
                print_status(text)
        if terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def print_status(text: str) -> None:
    print(f"inferlog: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
