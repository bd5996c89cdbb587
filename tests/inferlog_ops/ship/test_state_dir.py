"""Errors of the state directory, each with a remedy that fits its cause."""

import errno
import os
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.ship.state_dir import lock_state_dir, report_unusable


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free space on its disk, or give another --state"),
        (errno.EDQUOT, "free space on its disk, or give another --state"),
        (errno.EACCES, "make it readable and writable for this user, or give another --state"),
        (errno.EROFS, "make it readable and writable for this user, or give another --state"),
    ],
    ids=errno.errorcode.get,
)
def test_remedy_fits_the_cause(number: int, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as raised, report_unusable(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "id"))
    assert str(raised.value).endswith(remedy)
    assert os.strerror(number) in str(raised.value)


def test_file_in_place_of_the_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(OperatorError, match="cannot be used"), lock_state_dir(tmp_path / "state"):
        pass
