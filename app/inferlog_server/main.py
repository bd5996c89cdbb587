"""Entry point: settings in, service up, one sentence on stderr if that cannot be."""

import sys
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from inferlog_server.errors import StartError
from inferlog_server.settings import Settings

# May hold a credential, also where it is no usable value.
_NEVER_SHOWN = ("upstream_url", "upstream_api_key")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Serve until SIGTERM.

    Args:
        arguments: Of the command line; None = this process's.

    Returns:
        The exit code: 0 after an orderly end, 1 if the service could not start, 2 for a wrong setting.
    """
    try:
        settings = read_settings(sys.argv[1:] if arguments is None else arguments)
    except StartError as error:
        return _refuse(error, exit_code=2)
    # After the settings: --help need not wait for the imports of a whole service.
    from inferlog_server.serving import serve  # noqa: PLC0415

    try:
        serve(settings)
    except StartError as error:
        return _refuse(error, exit_code=1)
    return 0


def read_settings(arguments: Sequence[str]) -> Settings:
    """
    Return the settings of *arguments*, then of the environment, then the defaults.

    Raises:
        StartError: If one of them cannot be used.
    """
    try:
        return CliApp.run(Settings, cli_args=list(arguments))
    except ValidationError as error:
        raise StartError(_sentence(error)) from None
    except SettingsError as error:
        raise StartError(f"settings: {error}; expected JSON") from None


def _sentence(error: ValidationError) -> str:
    """Say what is wrong with the first wrong setting: where, what was wanted, what was found."""
    first = error.errors(include_url=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"settings: {reason}"
    name, *inside = first["loc"]
    where = str(name) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in inside)
    option = f"--{str(name).replace('_', '-')}"
    variable = f"INFERLOG_SERVER_{str(name).upper()}"
    found = "cannot be used" if name in _NEVER_SHOWN else f"is {first['input']!r:.80}"
    return f"setting {where} {found}: {reason} (set by {option} or {variable})"


def _refuse(error: StartError, *, exit_code: int) -> int:
    print(f"inferlog_server: {error}", file=sys.stderr)  # noqa: T201 (for whoever started it)
    return exit_code
