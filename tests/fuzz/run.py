"""
Coverage-guided fuzzing of one target, until an input breaks it or the limit is reached.

    .venv/bin/python -m tests.fuzz.run headers --runs 1000000

Requires atheris, which is in the tests' environment. An input that breaks the target is written to a file; --input runs
such a file alone. The suite runs every target on a few hundred inputs: test_targets.py.
"""

import argparse
import importlib
import mmap
import os
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path

import atheris

from tests.fuzz.targets import TARGETS

_IN_MEMORY = Path("/dev/shm")  # a disk takes a millisecond to truncate a file
_HANGS_SECONDS = 10
_INTERRUPTED = 72  # libFuzzer's exit code
_COUNT = struct.Struct("q")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=1_000_000, help="number of inputs; default: %(default)s")
    parser.add_argument("--seconds", type=int, default=7_200, help="time limit; default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="random seed; default: %(default)s")
    parser.add_argument("--input", type=Path, help="run only this file")
    options = parser.parse_args()
    if options.input:
        importlib.import_module(f"tests.fuzz.{options.target}").check(options.input.read_bytes())
        return 0
    # Shared with the child, because libFuzzer exits without cleanup.
    counter = mmap.mmap(-1, _COUNT.size)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(
        prefix="inferlog-fuzz-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None
    ) as scratch:
        child = os.fork()
        if child == 0:
            os.setsid()  # Ctrl-C reaches only the parent, which forwards it
            tempfile.tempdir = scratch  # removed with the target's files, because the child does not clean up
            _fuzz(options, Path(scratch) / "corpus", counter)
        for number in (signal.SIGINT, signal.SIGTERM):
            # Print the counts also after an interruption, and remove temporary files.
            signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
        _, status = os.waitpid(child, 0)
    taken, seconds = _COUNT.unpack(counter[:])[0], time.monotonic() - began
    ended = {0: "nothing was found", _INTERRUPTED: "interrupted"}
    found = ended.get(os.waitstatus_to_exitcode(status), "something was found: see above")
    short = status == 0 and taken < options.runs
    if short:
        found += f", but {options.runs:,} were wanted: give it more --seconds"
    sys.stdout.write(f"{options.target}: {taken:,} inputs in {seconds:.0f} s, {found}\n")
    return 1 if status or short else 0


def _fuzz(options: argparse.Namespace, corpus: Path, counter: mmap.mmap) -> None:
    with atheris.instrument_imports(include=["inferlog", "inferlog_ops"]):
        target = importlib.import_module(f"tests.fuzz.{options.target}")
    taken = 0

    def take(data: bytes) -> None:
        nonlocal taken
        target.check(data)
        taken += 1
        counter[:] = _COUNT.pack(taken)

    corpus.mkdir()
    for number, seed in enumerate(target.SEEDS):
        (corpus / str(number)).write_bytes(seed)
    limits = [f"-runs={options.runs}", f"-max_total_time={options.seconds}", f"-timeout={_HANGS_SECONDS}"]
    atheris.Setup(
        [sys.argv[0], *limits, f"-max_len={target.LONGEST_BYTES}", f"-seed={options.seed}", str(corpus)], take
    )
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
