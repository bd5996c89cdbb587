"""A pipe that does not block takes a part of a long line: the next one must be whole all the same."""

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
def piped_stdout() -> Iterator[int]:
    """Make standard output a pipe that does not block; yields the end to read from."""
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


def test_after_a_torn_line_the_next_one_is_whole() -> None:
    sink = StdoutSink()
    with piped_stdout() as pipe:
        assert not sink.write(LONG)
        assert LONG.startswith(os.read(pipe, 2 * PIPE_BYTES))
        assert sink.write(SHORT)
        assert sink.write(SHORT)
        assert os.read(pipe, PIPE_BYTES) == b"\n" + SHORT + SHORT


def test_a_line_torn_by_one_stream_does_not_break_that_of_another() -> None:
    with piped_stdout() as pipe:
        assert not StdoutSink().write(LONG)
        os.read(pipe, 2 * PIPE_BYTES)
        assert StdoutSink().write(SHORT)
        assert os.read(pipe, PIPE_BYTES) == b"\n" + SHORT


def test_a_line_that_a_full_pipe_refuses_leaves_the_torn_one_to_be_ended() -> None:
    sink = StdoutSink()
    with piped_stdout() as pipe:
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
