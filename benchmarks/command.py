"""What the benchmarks' command lines have in common, and how they end."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks.run import GOAL_MISSED
from inferlog_ops.core.ending import exit_code_of, one_signal_ends

Sizes = Mapping[str, object]
"""Values of options, by their names."""
EXIT_CODES = f"Exit code 0: done, and every goal is met; {GOAL_MISSED}: done, and a goal is missed; else it failed."


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--quick", action="store_true", help="small sizes, for a first look")
    form = made.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    return made


def parsed(
    with_options: argparse.ArgumentParser, *, full: Sizes, quick: Sizes, arguments: Sequence[str] | None = None
) -> argparse.Namespace:
    """Parse the command line; an option that it does not give is as in *full*, or with ``--quick`` as in *quick*."""
    wanted, _ = with_options.parse_known_args(arguments)
    with_options.set_defaults(**(quick if wanted.quick else full))
    return with_options.parse_args(arguments)


def run(main: Callable[[], None]) -> NoReturn:
    """Run *main* and end: what the user can mend is one sentence, and at a signal what was started is ended first."""
    with one_signal_ends():
        sys.exit(exit_code_of(main, Path(sys.argv[0]).stem))


def tell(text: str) -> None:
    """Say how far the benchmark is."""
    print(text, file=sys.stderr, flush=True)
