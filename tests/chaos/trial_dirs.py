"""Directories of one trial."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrialDirs:
    root: Path

    @property
    def logs(self) -> Path:
        """The service's log files."""
        return self.root / "logs"

    @property
    def kept(self) -> Path:
        """Hard links to all log files, so that deleted files can still be counted."""
        return self.root / "kept"

    @property
    def state(self) -> Path:
        """The shipper's offsets and dead letters."""
        return self.root / "state"

    @property
    def positions(self) -> Path:
        """Acknowledged offset of each log file."""
        return self.state / "positions.json"

    @property
    def dead_letters(self) -> Path:
        """Lines that the shipper has given up."""
        return self.state / "dead_letters.jsonl"

    @property
    def output(self) -> Path:
        """Output of the processes."""
        return self.root / "output"

    @property
    def ready_file(self) -> Path:
        """Address of the service, once it is ready."""
        return self.output / "server.ready.json"

    @property
    def records(self) -> Path:
        """The load's records, one line a request."""
        return self.root / "requests.jsonl"

    @property
    def clock(self) -> Path:
        """Offset of the service's clock, in seconds."""
        return self.root / "clock"

    def make(self) -> None:
        """Create the directories that no process creates itself."""
        for folder in (self.logs, self.kept, self.output):
            folder.mkdir(parents=True)
