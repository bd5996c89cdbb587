"""File operations of core: locks, atomic replacement, bounded reads."""

import os
from pathlib import Path

import pytest

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.files import read_json, replace_file, try_lock


def test_lock_is_exclusive_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as first, path.open("w") as second:
        assert try_lock(first)
        assert not try_lock(second)
        assert not try_lock(second, shared=True)
        first.close()
        assert try_lock(second)


@pytest.mark.parametrize("durable", [False, True])
def test_replaced_file_has_the_new_content_and_leaves_no_draft(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    replace_file(path, b"new", durable=durable)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_replaced_file_gets_the_given_mode(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", b"", durable=False, mode=0o640)
    assert (tmp_path / "file").stat().st_mode & 0o7777 == 0o640


def test_replaced_file_does_not_follow_a_symlinked_draft(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"kept")
    (tmp_path / ".file.new").symlink_to(elsewhere)
    replace_file(tmp_path / "file", b"new", durable=False)
    assert elsewhere.read_bytes() == b"kept"


def test_pipe_is_rejected_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OperatorError, match="the file is not a regular file of at most 16 MiB"):
        read_json(tmp_path / "pipe", "the file")
