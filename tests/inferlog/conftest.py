"""The library, set up to write into the test's own directory, and what it wrote."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from logfiles import Logs

import inferlog


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    """Return the log directory of a library configured for this test."""
    inferlog.configure(service_name="scoring", service_version="1.2.3", log_dir=tmp_path / "logs")
    yield Logs(tmp_path / "logs")
    inferlog.shutdown()
