"""Installation of the container stack, with folders instead of volumes, and its store."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.provision.stack.login import log_in
from inferlog_ops.provision.stack.settings import StackSettings

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def build_settings(root: Path) -> StackSettings:
    """Return settings with each volume as a folder of *root*."""
    return StackSettings(
        authority=root / "authority",
        certificates=root / "certificates",
        secrets=root / "secrets",
        logs=root / "logs",
        dead_letters=root / "dead_letters",
        wait_seconds=60,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """
    A store with security, set up.

    Attributes:
        settings: As set-up had them.
    """

    settings: StackSettings

    @property
    def superuser(self) -> Cluster:
        """The store with the current password of the superuser."""
        return log_in(self.settings, print).cluster

    def as_key(self, encoded: str) -> Cluster:
        """Return the store with an API key."""
        return replace(self.superuser, user_and_password=None, api_key=encoded)

    def as_user(self, name: str, password: str) -> Cluster:
        """Return the store with a user's password."""
        return replace(self.superuser, user_and_password=(name, password))


def build_environment(settings: StackSettings) -> dict[str, str]:
    """Return *settings* as environment variables."""
    return {
        "INFERLOG_SETUP_AUTHORITY": str(settings.authority),
        "INFERLOG_SETUP_CERTIFICATES": str(settings.certificates),
        "INFERLOG_SETUP_SECRETS": str(settings.secrets),
        "INFERLOG_SETUP_LOGS": str(settings.logs),
        "INFERLOG_SETUP_DEAD_LETTERS": str(settings.dead_letters),
        "ELASTICSEARCH_URL": settings.elasticsearch_url,
        "KIBANA_URL": settings.kibana_url,
        "INFERLOG_SETUP_WAIT_SECONDS": str(settings.wait_seconds),
    }


def run(settings: StackSettings, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m inferlog_ops.cli.stack`` as a container does, with *more* in its environment."""
    environment = {"PATH": os.environ["PATH"], **build_environment(settings), **more}
    command = [sys.executable, "-m", "inferlog_ops.cli.stack", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
