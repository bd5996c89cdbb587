"""The fixture ``inferlog_recorded``, known to pytest wherever inferlog is installed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from inferlog.testing import Recorded


@pytest.fixture
def inferlog_recorded() -> "Iterator[Recorded]":
    """Record what the test's code writes through inferlog, instead of writing it."""
    # Here and not above: a test run that does not use the fixture need not import the library.
    from inferlog.testing import recording  # noqa: PLC0415

    with recording() as recorded:
        yield recorded
