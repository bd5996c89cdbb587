"""The library, configured to write into the test's directory, and its output."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import inferlog
from tests.support.polling import wait_until


@dataclass(frozen=True)
class Logs:
    """Contents of a log directory."""

    directory: Path

    def read_lines(self, stream: str) -> list[dict[str, Any]]:
        """Return every complete line of *stream*, in order of file names."""
        paths = sorted(self.directory.glob(f"{stream}-*.jsonl"))
        # Text after the last newline is an incomplete write.
        return [json.loads(line) for path in paths for line in path.read_text().split("\n")[:-1] if line]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.read_lines("events")

    @property
    def event(self) -> dict[str, Any]:
        """The only event; waits for it, because a response may reach its client earlier."""
        (event,) = wait_until(lambda: self.events, what="an event")
        return event


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    """Return the log directory of a library configured for this test."""
    inferlog.configure(service_name="scoring", service_version="1.2.3", log_dir=tmp_path / "logs")
    yield Logs(tmp_path / "logs")
    inferlog.shutdown()
