"""What this shipper has done since it started."""

import threading
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """
    Each line that was answered counts once, in one of the first three.

    Attributes:
        shipped: The store took it.
        duplicates: The store had it already.
        dead_lettered: It stands in the dead letter file.
        lost_files: Files that disappeared before all of their lines were answered.
        lost_bytes: What these files held beyond the answered lines, but for half a line at the end.
    """

    shipped: int = 0
    duplicates: int = 0
    dead_lettered: int = 0
    lost_files: int = 0
    lost_bytes: int = 0

    @property
    def answered(self) -> int:
        """All lines that need nothing more."""
        return self.shipped + self.duplicates + self.dead_lettered


class Counters:
    """Adds up from several threads."""

    def __init__(self) -> None:
        self._counts = Counts()
        self._retries = 0
        self._lock = threading.Lock()

    @property
    def counts(self) -> Counts:
        """All figures as of one moment."""
        return self._counts

    @property
    def retries(self) -> int:
        """How many tries at a batch left something to be sent again."""
        return self._retries

    def add_retry(self) -> None:
        """Count one more."""
        with self._lock:
            self._retries += 1

    def add(self, **more: int) -> None:
        """Add to the counts that are named."""
        with self._lock:
            counts = asdict(self._counts)
            self._counts = Counts(**{name: count + more.get(name, 0) for name, count in counts.items()})
