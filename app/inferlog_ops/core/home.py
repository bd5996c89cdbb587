"""The home directory of a user's inferlog data, with one folder for each part."""

import os
from dataclasses import dataclass
from pathlib import Path


def find_default_home() -> Path:
    """Return ``INFERLOG_HOME``, or ``inferlog`` in the user's data directory (XDG base directories)."""
    if configured := os.environ.get("INFERLOG_HOME"):
        return Path(configured)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "inferlog"


def find_cache_dir() -> Path:
    """Return the folder of downloads such as the engine's jars; shared by all homes."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inferlog"


@dataclass(frozen=True, slots=True)
class Home:
    """A home directory. Commands with the same home work on the same data."""

    root: Path

    @property
    def engine(self) -> Path:
        """The embedded Elasticsearch: its data, configuration, logs and pid file."""
        return self.root / "engine"

    @property
    def logs(self) -> Path:
        """The event files that the server writes and the shipper reads."""
        return self.root / "logs"

    @property
    def shipper_state(self) -> Path:
        """The shipper's offsets and dead letters."""
        return self.root / "shipper"

    @property
    def output(self) -> Path:
        """Output of the demo's processes, one file each."""
        return self.root / "output"
