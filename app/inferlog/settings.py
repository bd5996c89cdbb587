"""What differs between two deployments of an instrumented service. Read once, by :func:`inferlog.configure`."""

import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from inferlog.redaction import Secrets, names_a_secret, secrets_with

PREFIX = "INFERLOG_"


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it, what was found and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    The library's settings; each is also read from ``INFERLOG_<NAME>``.

    Attributes:
        service_name: ``service.name`` of every line, and part of every file's name.
        service_version: ``service.version``: the release of the service, not of the model.
        environment: ``service.environment``, such as ``production``.
        log_dir: Where the files lie; made if absent.
        log_level: Lines below this level are not written: ``debug``, ``info``, ``warning``, ``error``, ``critical``.
        capture_stdlib: Also write what the service's libraries say through Python's ``logging``.
        max_file_bytes: A file is closed before it grows beyond this.
        max_file_age_seconds: A file is closed at the first line after this.
        keep_shipped_seconds: How long a file stays after all of it is shipped.
        max_total_bytes: Most that all files in log_dir may take. At this size, events are dropped and counted.
        audit_key_file: Holds the key of the events' hash chain, up to 64 bytes; without it the chain has no key.
        client_id_header: Request header that says who called, for ``client.id``; none: only what the service states.
        client_id_key_file: Holds the key with which ``client.id`` is hashed, 16 to 64 bytes; without it, no key.
        client_id_plain: Write ``client.id`` as it is, not hashed.
        redact_names: More names whose value is a secret, in any spelling; ``badge_number``.
        redact_patterns: Regular expressions of more values that are secret; in the environment one a line.
        price_file: JSON table of prices per million tokens (:class:`inferlog.pricing.PriceTable`); sets ``cost_usd``.
        heartbeat_seconds: A line about the process's health so often; 0: none.
        capture_content: Write prompts and answers that the service hands to ``capture_content()``.
        sinks: Where lines go: ``file``, ``stdout``, ``forward``, or several of them; the first is the record of truth.
            ``none`` switches the library off.
        console: Whether events and lines also appear on standard error, short, for a human: ``auto`` (on a terminal, in
            the environment ``development``), ``always`` (refused in ``production``), ``never``.
        forward_host: Of the Fluentd for the sink ``forward``.
        forward_port: Of the same.
        forward_queue_events: How many lines may wait to be forwarded; above, the oldest is dropped and counted.
    """

    service_name: str = "inference"
    service_version: str = "unknown"
    environment: str = "development"
    log_dir: Path = Path("logs")
    log_level: str = "info"
    capture_stdlib: bool = True
    max_file_bytes: int = 64 * 1024 * 1024
    max_file_age_seconds: float = 3600.0
    keep_shipped_seconds: float = 24 * 3600.0
    max_total_bytes: int = 2 * 1024 * 1024 * 1024
    audit_key_file: Path | None = None
    client_id_header: str | None = None
    client_id_key_file: Path | None = None
    client_id_plain: bool = False
    redact_names: tuple[str, ...] = ()
    redact_patterns: tuple[re.Pattern[str], ...] = ()
    price_file: Path | None = None
    heartbeat_seconds: float = 10.0
    capture_content: bool = False
    sinks: tuple[str, ...] = ("file",)
    console: str = "auto"
    forward_host: str = "127.0.0.1"
    forward_port: int = 24224
    forward_queue_events: int = 10_000

    @classmethod
    def read(cls, given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Self:
        """
        Return what is *given* (None: not given), else what *environ* says, else the defaults.

        Raises:
            SettingsError: If a value cannot be used.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            source, value = field.name, given.get(field.name)
            if value is None:
                source, value = PREFIX + field.name.upper(), environ.get(PREFIX + field.name.upper())
            if value is None and isinstance(field.default, Path):
                value = field.default  # parsed like any other: a default directory must not move either
            if value is not None:
                values[field.name] = _PARSERS[field.type](source, value)
        return cls(**values)

    def __post_init__(self) -> None:
        """Refuse what no run could use."""
        if self.log_level not in LOG_LEVELS:
            raise SettingsError(f"log_level is {self.log_level!r}; expected one of {', '.join(LOG_LEVELS)}")
        for name in ("max_file_bytes", "max_file_age_seconds", "max_total_bytes"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} is {getattr(self, name)}; expected more than 0")
        for name in ("keep_shipped_seconds", "heartbeat_seconds"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} is {getattr(self, name)}; expected 0 or more")
        known = self.sinks == NO_SINKS or (self.sinks and set(self.sinks) <= set(SINKS))
        if not known or len(set(self.sinks)) < len(self.sinks):
            raise SettingsError(
                f"sinks is {','.join(self.sinks)!r}; expected some of {', '.join(SINKS)}, each once, or none"
            )
        if not 1 <= self.forward_port <= 65535:
            raise SettingsError(f"forward_port is {self.forward_port}; expected 1 to 65535")
        if self.forward_queue_events < 1:
            raise SettingsError(f"forward_queue_events is {self.forward_queue_events}; expected 1 or more")
        self._check_console()
        self._check_what_is_secret()

    def _check_console(self) -> None:
        if self.console not in CONSOLE:
            raise SettingsError(f"console is {self.console!r}; expected one of {', '.join(CONSOLE)}")
        if self.console == "always" and self.environment.lower() in _PRODUCTION:
            raise SettingsError(
                f"console is 'always' and environment is {self.environment!r}; expected auto or never in production"
            )

    def _check_what_is_secret(self) -> None:
        for name in self.redact_names:
            if not any(map(str.isalnum, name)):
                raise SettingsError(f"redact_names has {name!r}; expected names such as badge_number")
        if self.client_id_header is not None:
            self.check_client_id_header("client_id_header", self.client_id_header)

    def check_client_id_header(self, source: str, name: str) -> None:
        """
        Check that a header may say who called; *source* is where it is named.

        Raises:
            SettingsError: If it is no header's name, or its credential would be written as it is.
        """
        if not _HEADER.fullmatch(name):
            raise SettingsError(f"{source} is {name!r:.80}; expected the name of a header")
        if self.client_id_plain and names_a_secret(name, self.secrets()):
            raise SettingsError(
                f"{source} is {name!r}, a header with a credential, which client_id_plain would write as it is; "
                "expected another header, or client_id_plain off"
            )

    def secrets(self) -> Secrets:
        """Return what is taken out of all free text: the usual secrets, and the user's own."""
        return secrets_with(self.redact_names, self.redact_patterns)

    def read_key(self, setting: str) -> bytes:
        """
        Return what is in the key file that *setting* names, white space at its ends left out; nothing without one.

        Raises:
            SettingsError: If it cannot be read, or is no key.
        """
        path: Path | None = getattr(self, setting)
        if path is None:
            return b""
        try:
            with path.open("rb") as file:
                key = file.read(_KEY_LIMIT_BYTES).strip()
        except OSError as error:
            raise SettingsError(f"{setting} {path} cannot be read: {error.strerror}") from error
        if not 16 <= len(key) <= 64:
            raise SettingsError(f"{setting} {path} holds {len(key)} bytes; expected 16 to 64")
        return key


def any_setting_in(environ: Mapping[str, str]) -> bool:
    """Return whether *environ* has a setting of the library, which counts as a configuration."""
    return any(PREFIX + field.name.upper() in environ for field in fields(Settings))


_KEY_LIMIT_BYTES: Final = 4096  # of a device there would be no end
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
CONSOLE = ("auto", "always", "never")
_PRODUCTION: Final = frozenset({"production", "prod"})
SINKS = ("file", "stdout", "forward")
NO_SINKS: Final = ("none",)
_TEXT_LIMIT_CHARACTERS: Final = 256  # beyond, the index would not find a keyword
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)  # a token, by RFC 9110
_TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _parsed_text(source: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"{source} is {value!r:.80}; expected text that is not empty")
    if len(value) > _TEXT_LIMIT_CHARACTERS:
        raise SettingsError(
            f"{source} is {value!r:.80}… of {len(value)} characters; expected {_TEXT_LIMIT_CHARACTERS} or fewer"
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise SettingsError(f"{source} is {value!r:.80}; expected text that UTF-8 can carry")
    return value.lower() if source.lower().endswith(("log_level", "client_id_header", "console")) else value


def _parsed_truth(source: str, value: Any) -> bool:
    if str(value).lower() not in _TRUTH:
        raise SettingsError(f"{source} is {value!r}; expected true or false")
    return _TRUTH[str(value).lower()]


def _parsed_whole_number(source: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or isinstance(value, bool) or not (isinstance(value, str) or number == value):
        raise SettingsError(f"{source} is {value!r:.80}; expected a whole number")
    return number


def _parsed_number(source: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(f"{source} is {value!r:.80}; expected a number")
    return number


def _parsed_directory(source: str, value: Any) -> Path:
    path = _parsed_file(source, value)
    try:
        is_other = path.exists() and not path.is_dir()
    except OSError as error:  # a name that is too long
        raise SettingsError(f"{source} is {str(path)!r:.80}: {error.strerror}; expected a directory") from error
    if is_other:
        raise SettingsError(f"{source} is {str(path)!r}, which is a file; expected a directory")
    return path


def _parsed_file(source: str, value: Any) -> Path:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value) or "\0" in str(os.fspath(value)):
        raise SettingsError(f"{source} is {value!r}; expected a path")
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise SettingsError(f"{source} is {value!r}, in a home directory that is not known; expected a path") from None
    # Absolute at once: a service that changes its directory later must not scatter its files.
    return path.absolute()


def _parsed_names(source: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(","))
    if not isinstance(value, Collection) or not all(isinstance(name, str) for name in value):
        raise SettingsError(f"{source} is {value!r}; expected names")
    return tuple(value)


def _parsed_patterns(source: str, value: Any) -> tuple[re.Pattern[str], ...]:
    given = value.splitlines() if isinstance(value, str) else value
    if not isinstance(given, Collection) or not all(isinstance(pattern, str) for pattern in given):
        raise SettingsError(f"{source} is {value!r}; expected regular expressions")
    return tuple(_pattern(source, pattern) for pattern in given if pattern)


def _pattern(source: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise SettingsError(f"{source} has {pattern!r}, which is no regular expression: {error}") from None


_PARSERS: dict[Any, Callable[[str, Any], Any]] = {
    str: _parsed_text,
    str | None: _parsed_text,
    bool: _parsed_truth,
    int: _parsed_whole_number,
    float: _parsed_number,
    tuple[str, ...]: _parsed_names,
    tuple[re.Pattern[str], ...]: _parsed_patterns,
    Path: _parsed_directory,
    Path | None: _parsed_file,
}
