"""Where one scenario keeps its things."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Dirs:
    """The directories of one scenario."""

    root: Path

    @property
    def logs(self) -> Path:
        """The service's log files."""
        return self.root / "logs"

    @property
    def kept(self) -> Path:
        """A second name for each log file, so that one that is deleted can still be counted."""
        return self.root / "kept"

    @property
    def state(self) -> Path:
        """The shipper's positions and dead letters."""
        return self.root / "state"

    @property
    def positions(self) -> Path:
        """Up to where each log file is answered."""
        return self.state / "positions.json"

    @property
    def dead_letters(self) -> Path:
        """The lines that the shipper has given up."""
        return self.state / "dead_letters.jsonl"

    @property
    def output(self) -> Path:
        """What the processes print."""
        return self.root / "output"

    @property
    def ready_file(self) -> Path:
        """Where the service says that it answers."""
        return self.output / "server.ready.json"

    @property
    def records(self) -> Path:
        """What the load saw, a line for each request."""
        return self.root / "requests.jsonl"

    @property
    def clock(self) -> Path:
        """By how many seconds the service's clock is wrong."""
        return self.root / "clock"

    def make(self) -> None:
        """Make what the processes do not make themselves."""
        for folder in (self.logs, self.kept, self.output):
            folder.mkdir(parents=True)
