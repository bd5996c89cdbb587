"""Deployment settings of an instrumented service, read once by :func:`inferlog.configure`."""

import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from inferlog.redaction import Secrets, build_secrets, is_secret_name

PREFIX = "INFERLOG_"


class SettingsError(ValueError):
    """An invalid setting; the message names the setting, the value found and the value expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    The library's settings; each is also read from ``INFERLOG_<NAME>``.

    Attributes:
        service_name: ``service.name`` of every line, and part of every file name.
        service_version: ``service.version``: the release of the service, not of the model.
        environment: ``service.environment``, such as ``production``.
        log_dir: Directory of the log files; created if missing.
        log_level: Lowest level that is written: ``debug``, ``info``, ``warning``, ``error``, ``critical``.
        capture_stdlib: Also write the records of Python's ``logging``, including those of the service's libraries.
        max_file_bytes: A file is closed before it grows beyond this.
        max_file_age_seconds: A file is closed at the first line after this.
        keep_shipped_seconds: Age at which a completely shipped file is deleted.
        max_total_bytes: Limit of the total size of log_dir. At the limit, events are dropped and counted.
        audit_key_file: File with the key of the events' hash chain, 16 to 64 bytes. Default: a chain without a key.
        client_id_header: Request header that becomes ``client.id``. Default: only ids that the service binds.
        client_id_key_file: File with the key for hashing ``client.id``, 16 to 64 bytes. Default: a hash without a key.
        client_id_plain: Write ``client.id`` unhashed.
        redact_names: Additional names of secret values, in any spelling, such as ``badge_number``.
        redact_patterns: Regular expressions of additional secret values; in the environment, one per line.
        price_file: JSON table of prices per million tokens (:class:`inferlog.pricing.PriceTable`); sets ``cost_usd``.
        heartbeat_seconds: Interval of the health lines; 0 disables them.
        capture_content: Write the prompts and answers that the service passes to ``capture_content()``.
        sinks: Destinations: one or more of ``file``, ``stdout``, ``forward``; the first is the record of truth.
            ``none`` switches the library off.
        console: Show events and lines in short form on standard error: ``auto`` (on a terminal, in the environment
            ``development``), ``always`` (rejected in ``production``), ``never``.
        forward_host: Host of the Fluentd that the sink ``forward`` sends to.
        forward_port: Port of that Fluentd.
        forward_queue_events: Capacity of the forward queue in lines; when full, the oldest is dropped and counted.
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
        Return each setting from *given* (None counts as absent), else from *environ*, else its default.

        Raises:
            SettingsError: If a value is invalid.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            source, value = field.name, given.get(field.name)
            if value is None:
                source, value = PREFIX + field.name.upper(), environ.get(PREFIX + field.name.upper())
            if value is None and isinstance(field.default, Path):
                value = field.default  # made absolute like any other path
            if value is not None:
                parsed = _PARSERS[field.type](source, value)
                values[field.name] = parsed.lower() if field.name in _LOWERED else parsed
        return cls(**values)

    def __post_init__(self) -> None:
        """Check the values that can be checked without I/O."""
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
        self._check_secrets()

    def _check_console(self) -> None:
        if self.console not in CONSOLE:
            raise SettingsError(f"console is {self.console!r}; expected one of {', '.join(CONSOLE)}")
        if self.console == "always" and self.environment.lower() in _PRODUCTION:
            raise SettingsError(
                f"console is 'always' and environment is {self.environment!r}; expected auto or never in production"
            )

    def _check_secrets(self) -> None:
        for name in self.redact_names:
            if not any(map(str.isalnum, name)):
                raise SettingsError(f"redact_names has {name!r}; expected names such as badge_number")
        if self.client_id_header is not None:
            self.check_client_id_header("client_id_header", self.client_id_header)

    def check_client_id_header(self, source: str, name: str) -> None:
        """
        Check that header *name*, configured in *source*, can be the source of ``client.id``.

        Raises:
            SettingsError: If *name* is not a valid header name, or its credential would be written unhashed.
        """
        if not _HEADER.fullmatch(name):
            raise SettingsError(f"{source} is {name!r:.80}; expected a header name, such as x-client-id")
        if self.client_id_plain and is_secret_name(name, self.build_secrets()):
            raise SettingsError(
                f"{source} is {name!r}, a header with a credential, and client_id_plain would write it unhashed; "
                "expected another header, or client_id_plain off"
            )

    def build_secrets(self) -> Secrets:
        """Return the secrets to redact in all free text: the default ones and the configured ones."""
        return build_secrets(self.redact_names, self.redact_patterns)

    def read_key(self, setting: str) -> bytes:
        """
        Return the stripped content of the key file configured as *setting*; empty if not configured.

        Raises:
            SettingsError: If the file cannot be read, or does not contain 16 to 64 bytes.
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
            raise SettingsError(f"{setting} {path} contains {len(key)} bytes; expected 16 to 64")
        return key


def has_settings(environ: Mapping[str, str]) -> bool:
    """Return whether *environ* contains at least one setting of the library."""
    return any(PREFIX + field.name.upper() in environ for field in fields(Settings))


_KEY_LIMIT_BYTES: Final = 4096  # a device has no end
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
CONSOLE = ("auto", "always", "never")
_LOWERED: Final = ("log_level", "client_id_header", "console")  # text whose case is without meaning
_PRODUCTION: Final = frozenset({"production", "prod"})
SINKS = ("file", "stdout", "forward")
NO_SINKS: Final = ("none",)
_TEXT_LIMIT_CHARACTERS: Final = 256  # longer values are not indexed as a keyword
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)  # a token, by RFC 9110
_TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _parse_text(source: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingsError(f"{source} is {value!r:.80}; expected non-empty text")
    if len(value) > _TEXT_LIMIT_CHARACTERS:
        raise SettingsError(
            f"{source} is {value!r:.80}… of {len(value)} characters; expected {_TEXT_LIMIT_CHARACTERS} or fewer"
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise SettingsError(f"{source} is {value!r:.80}; expected text that can be encoded as UTF-8")
    return value


def _parse_bool(source: str, value: Any) -> bool:
    if str(value).lower() not in _TRUTH:
        raise SettingsError(f"{source} is {value!r}; expected true or false")
    return _TRUTH[str(value).lower()]


def _parse_int(source: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or isinstance(value, bool) or not (isinstance(value, str) or number == value):
        raise SettingsError(f"{source} is {value!r:.80}; expected a whole number")
    return number


def _parse_float(source: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(f"{source} is {value!r:.80}; expected a number")
    return number


def _parse_directory(source: str, value: Any) -> Path:
    path = _parse_file(source, value)
    try:
        is_other = path.exists() and not path.is_dir()
    except OSError as error:  # a name that is too long
        raise SettingsError(f"{source} is {str(path)!r:.80}: {error.strerror}; expected a directory") from error
    if is_other:
        raise SettingsError(f"{source} is {str(path)!r}, which is a file; expected a directory")
    return path


def _parse_file(source: str, value: Any) -> Path:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value) or "\0" in str(os.fspath(value)):
        raise SettingsError(f"{source} is {value!r}; expected a path")
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise SettingsError(f"{source} is {value!r}, and the home directory is unknown; expected a path") from None
    # Absolute now: a service that changes its working directory later keeps one log directory.
    return path.absolute()


def _parse_names(source: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(","))
    if not isinstance(value, Collection) or not all(isinstance(name, str) for name in value):
        raise SettingsError(f"{source} is {value!r}; expected names")
    return tuple(value)


def _parse_patterns(source: str, value: Any) -> tuple[re.Pattern[str], ...]:
    given = value.splitlines() if isinstance(value, str) else value
    if not isinstance(given, Collection) or not all(isinstance(pattern, str) for pattern in given):
        raise SettingsError(f"{source} is {value!r}; expected regular expressions")
    return tuple(_compile_pattern(source, pattern) for pattern in given if pattern)


def _compile_pattern(source: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise SettingsError(f"{source} has {pattern!r}, which is not a valid regular expression: {error}") from None


_PARSERS: dict[Any, Callable[[str, Any], Any]] = {
    str: _parse_text,
    str | None: _parse_text,
    bool: _parse_bool,
    int: _parse_int,
    float: _parse_float,
    tuple[str, ...]: _parse_names,
    tuple[re.Pattern[str], ...]: _parse_patterns,
    Path: _parse_directory,
    Path | None: _parse_file,
}
