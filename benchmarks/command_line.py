"""Common options, exit codes and progress messages of the benchmarks."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks.benchmark_process import GOAL_MISSED
from inferlog_ops.core.exits import interrupt_on_signal, run_command

Sizes = Mapping[str, object]
"""Values of options, by their names."""
EXIT_CODES = f"Exit code 0: every goal is met; {GOAL_MISSED}: a goal is missed; otherwise the benchmark failed."


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark."""
    made = argparse.ArgumentParser(
        description=description, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="use small sizes")
    form = made.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    return made


def parse_options(
    with_options: argparse.ArgumentParser, *, full: Sizes, quick: Sizes, arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """Parse the command line; missing options default to *full*, or to *quick* with ``--quick``."""
    wanted, _ = with_options.parse_known_args(arguments)
    with_options.set_defaults(**(quick if wanted.quick else full))
    return with_options.parse_args(arguments)


def run_main(main: Callable[[], None]) -> NoReturn:
    """Run *main* and exit: errors of the user are one sentence, and a signal stops all started processes first."""
    with interrupt_on_signal():
        sys.exit(run_command(main, Path(sys.argv[0]).stem))


def log_progress(text: str) -> None:
    """Print a progress message to stderr."""
    print(text, file=sys.stderr, flush=True)
