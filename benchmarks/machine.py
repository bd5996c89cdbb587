"""Machine and versions of a measurement."""

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self

import psutil

from inferlog import __version__
from inferlog_ops.engine import blueprint

_COMPARED = (
    "structlog",
    "python-json-logger",
    "loguru",
    "ecs-logging",
    "prometheus-client",
    "asgi-correlation-id",
    "opentelemetry-instrumentation-fastapi",
    "prometheus-fastapi-instrumentator",
    "elasticsearch",
    "fluent-logger",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """
    Machine and versions of a measurement.

    Attributes:
        processor: Model name.
        cores: Cores available to this process.
        memory_bytes: Memory of the machine.
        system: Name and version of the kernel.
        python: Version of Python.
        versions: Versions of inferlog, the embedded Elasticsearch, and the compared packages.
        commit: Commit of the checkout, with ``+`` if files are modified; empty without git.
    """

    processor: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    versions: dict[str, str]
    commit: str

    @classmethod
    def describe_this(cls) -> Self:
        """Describe the machine of this process."""
        versions = {"inferlog": __version__, "Elasticsearch": blueprint.load().version}
        return cls(
            processor=_read_processor(),
            cores=len(os.sched_getaffinity(0)),
            memory_bytes=psutil.virtual_memory().total,
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            versions=versions | {name: found for name in _COMPARED if (found := _find_version(name))},
            commit=_commit(),
        )

    def format_line(self) -> str:
        """Return everything as one line."""
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        commit = f" at {self.commit}" if self.commit else ""
        return (
            f"{self.cores} cores of {self.processor}, {self.memory_bytes / 1e9:.0f} GB, {self.system}, "
            f"Python {self.python}, {versions}{commit}"
        )


def load() -> float:
    """Return the load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def _read_processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip()
