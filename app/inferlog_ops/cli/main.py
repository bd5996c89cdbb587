"""Entry point of the ``inferlog`` command: imports only the standard library until the extra is installed."""

import sys


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        from inferlog_ops.cli.command_list import run
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in {"inferlog", "inferlog_ops"}:
            raise
        print(
            f"inferlog: the command needs the package {error.name!r}, which is not installed; "
            "install it with: pip install 'inferlog[ops]'",
            file=sys.stderr,
        )
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
