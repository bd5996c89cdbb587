"""Partial writes to a non-blocking pipe: the line after a torn one must be complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import inferlog
from inferlog.sinks.stdout import StdoutSink

PIPE_BYTES = 65_536
SHORT = b'{"message":"short"}\n'
LONG = b'{"message":"' + b"x" * 2 * PIPE_BYTES + b'"}\n'


@contextmanager
def pipe_stdout() -> Iterator[int]:
    """Replace standard output by a non-blocking pipe; yield its read end."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    before = os.dup(1)
    os.dup2(write_end, 1)
    os.close(write_end)
    try:
        yield read_end
    finally:
        os.dup2(before, 1)
        os.close(before)
        os.close(read_end)


def test_line_after_torn_one_is_complete() -> None:
    sink = StdoutSink()
    with pipe_stdout() as pipe:
        assert not sink.write(LONG)
        assert LONG.startswith(os.read(pipe, 2 * PIPE_BYTES))
        assert sink.write(SHORT)
        assert sink.write(SHORT)
        assert os.read(pipe, PIPE_BYTES) == b"\n" + SHORT + SHORT


def test_torn_line_does_not_break_line_of_other_stream() -> None:
    with pipe_stdout() as pipe:
        assert not StdoutSink().write(LONG)
        os.read(pipe, 2 * PIPE_BYTES)
        assert StdoutSink().write(SHORT)
        assert os.read(pipe, PIPE_BYTES) == b"\n" + SHORT


def test_line_that_lacks_only_its_newline_is_written() -> None:
    sink = StdoutSink()
    exact = LONG[:PIPE_BYTES] + b"\n"
    with pipe_stdout() as pipe:
        assert sink.write(exact)
        assert os.read(pipe, 2 * PIPE_BYTES) == exact[:-1]
        assert sink.write(SHORT)
        assert os.read(pipe, PIPE_BYTES) == b"\n" + SHORT


def test_newline_of_torn_line_is_not_repeated() -> None:
    sink = StdoutSink()
    with pipe_stdout() as pipe:
        assert not sink.write(LONG)
        os.read(pipe, 2 * PIPE_BYTES)
        # With its own newline and the one before, it is a byte longer than the pipe.
        assert sink.write(LONG[: PIPE_BYTES - 1] + b"\n")
        assert os.read(pipe, 2 * PIPE_BYTES) == b"\n" + LONG[: PIPE_BYTES - 1]
        assert sink.write(SHORT)
        assert os.read(pipe, PIPE_BYTES) == b"\n" + SHORT


def test_line_rejected_by_full_pipe_keeps_torn_state() -> None:
    sink = StdoutSink()
    with pipe_stdout() as pipe:
        assert not sink.write(LONG)
        assert not sink.write(SHORT)
        os.read(pipe, 2 * PIPE_BYTES)
        assert sink.write(SHORT)
        assert os.read(pipe, PIPE_BYTES) == b"\n" + SHORT


def test_sink_none_switches_the_library_off(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    inferlog.configure(log_dir=tmp_path / "logs", sinks="none")
    with inferlog.track_performance("ask", model_version="v1"):
        inferlog.get_logger("app").warning("a line")
    inferlog.bind_inference(output_tokens=1)
    inferlog.shutdown()
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
