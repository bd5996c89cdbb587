"""What differs between two deployments of an instrumented service. Read once, by :func:`inferlog.configure`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

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
            if value is not None:
                values[field.name] = _parsed(source, value, type(field.default))
        return cls(**values)

    def __post_init__(self) -> None:
        """Refuse what no run could use."""
        if self.log_level not in LOG_LEVELS:
            raise SettingsError(f"log_level is {self.log_level!r}; expected one of {', '.join(LOG_LEVELS)}")
        for name in ("max_file_bytes", "max_file_age_seconds", "max_total_bytes"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} is {getattr(self, name)}; expected more than 0")
        if self.keep_shipped_seconds < 0:
            raise SettingsError(f"keep_shipped_seconds is {self.keep_shipped_seconds}; expected 0 or more")


LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
_TRUTH = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def _parsed(source: str, value: Any, kind: type) -> Any:
    if issubclass(kind, Path):
        return _parsed_path(source, value)
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() in _TRUTH:
            return _TRUTH[str(value).lower()]
        raise SettingsError(f"{source} is {value!r}; expected true or false")
    if kind is str:
        if not isinstance(value, str) or not value.strip():
            raise SettingsError(f"{source} is {value!r}; expected text that is not empty")
        return value.lower() if source.lower().endswith("log_level") else value
    try:
        return int(value) if kind is int else float(value)
    except (TypeError, ValueError):
        wanted = "a whole number" if kind is int else "a number"
        raise SettingsError(f"{source} is {value!r}; expected {wanted}") from None


def _parsed_path(source: str, value: Any) -> Path:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value) or "\0" in os.fspath(value):
        raise SettingsError(f"{source} is {value!r}; expected a directory's path")
    path = Path(value)
    if path.exists() and not path.is_dir():
        raise SettingsError(f"{source} is {str(path)!r}, which is a file; expected a directory")
    # Absolute at once: a service that changes its directory later must not scatter its files.
    return path.absolute()
