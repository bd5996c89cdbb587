"""Entry point: reads the settings and starts the service, or prints one sentence to stderr."""

import sys
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from inferlog_server.errors import StartError
from inferlog_server.settings import ServerSettings

# May contain a credential even if the value is not valid.
_SECRET_SETTINGS = ("upstream_url", "upstream_api_key")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Serve until SIGTERM.

    Args:
        arguments: Command-line arguments; None = those of this process.

    Returns:
        The exit code: 0 after a clean shutdown, 1 if the service could not start, 2 for a wrong setting.
    """
    try:
        settings = read_settings(sys.argv[1:] if arguments is None else arguments)
    except StartError as error:
        return _report(error, exit_code=2)
    # Imported late: --help must not wait for the imports of the service.
    from inferlog_server.serving import serve  # noqa: PLC0415

    try:
        serve(settings)
    except StartError as error:
        return _report(error, exit_code=1)
    return 0


def read_settings(arguments: Sequence[str]) -> ServerSettings:
    """
    Return the settings from *arguments*, then the environment, then the defaults.

    Raises:
        StartError: If a setting is not valid.
    """
    try:
        return CliApp.run(ServerSettings, cli_args=list(arguments))
    except ValidationError as error:
        raise StartError(_describe_error(error)) from None
    except SettingsError as error:
        raise StartError(f"settings: {error}; expected JSON") from None


def _describe_error(error: ValidationError) -> str:
    """Describe the first wrong setting: its name, the value found, the value expected."""
    first = error.errors(include_url=False)[0]
    reason = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"settings: {reason}"
    name, *inside = first["loc"]
    where = str(name) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in inside)
    option = f"--{str(name).replace('_', '-')}"
    variable = f"INFERLOG_SERVER_{str(name).upper()}"
    found = "is not valid" if name in _SECRET_SETTINGS else f"is {first['input']!r:.80}"
    return f"setting {where} {found}: {reason} (set by {option} or {variable})"


def _report(error: StartError, *, exit_code: int) -> int:
    print(f"inferlog_server: {error}", file=sys.stderr)  # noqa: T201 (read by the person at the terminal)
    return exit_code
