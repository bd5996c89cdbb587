"""pytest plugin with the fixture ``inferlog_recorded``, registered by installing inferlog."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from inferlog.testing import Recorded


@pytest.fixture
def inferlog_recorded() -> "Iterator[Recorded]":
    """Record in memory the lines that the test's code writes through inferlog."""
    # Imported here: a test run without the fixture does not import the library.
    from inferlog.testing import recording  # noqa: PLC0415

    with recording() as recorded:
        yield recorded
