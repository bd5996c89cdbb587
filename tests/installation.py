"""An installation of the container stack: folders in place of its volumes, and its store."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from inferlog_ops.cluster import Cluster
from inferlog_setup.login import log_in
from inferlog_setup.settings import Settings

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def settings_in(root: Path) -> Settings:
    """Return settings with each volume as a folder of *root*."""
    return Settings(
        authority=root / "authority",
        certificates=root / "certificates",
        secrets=root / "secrets",
        logs=root / "logs",
        wait_seconds=60,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """
    A store with security, set up.

    Attributes:
        settings: As set-up had them.
    """

    settings: Settings

    @property
    def superuser(self) -> Cluster:
        """The store, as the superuser sees it by the password of this moment."""
        return log_in(self.settings, print).cluster

    def as_key(self, encoded: str) -> Cluster:
        """Return the store as the holder of an API key sees it."""
        return replace(self.superuser, user_and_password=None, api_key=encoded)

    def as_user(self, name: str, password: str) -> Cluster:
        """Return the store as a user sees it."""
        return replace(self.superuser, user_and_password=(name, password))
