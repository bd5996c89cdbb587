"""What one engine process is asked to do, and how that is handed over."""

from dataclasses import dataclass
from pathlib import Path

DEFAULT_HEAP = "1g"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    One engine to run.

    Attributes:
        engine_home: Its directory; the jars are laid out there and were checked.
        port: To answer on; 0 for any free one.
        heap: The most memory for Java objects, as Java writes it: ``1g``, ``512m``.
        lock_descriptor: Inherited; holds the home as long as the process lives.
        ends_with_pid: The process with which it ends, however that ends; 0 = it goes on alone.
    """

    engine_home: Path
    port: int
    heap: str
    lock_descriptor: int
    ends_with_pid: int

    def arguments(self) -> list[str]:
        """Return the command line that ``from_arguments`` reads."""
        return [str(self.engine_home), str(self.port), self.heap, str(self.lock_descriptor), str(self.ends_with_pid)]

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> "Order":
        """Read what ``arguments`` wrote."""
        engine_home, port, heap, lock_descriptor, ends_with_pid = arguments
        return cls(
            engine_home=Path(engine_home),
            port=int(port),
            heap=heap,
            lock_descriptor=int(lock_descriptor),
            ends_with_pid=int(ends_with_pid),
        )
