"""Parameters of one engine process, passed on its command line."""

from dataclasses import dataclass
from pathlib import Path

DEFAULT_HEAP = "1g"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """
    Parameters of an engine process.

    Attributes:
        engine_home: Its directory, with verified jars.
        port: HTTP port; 0 = any free port.
        heap: Maximum Java heap in the notation of Java: ``1g``, ``512m``.
        lock_descriptor: Inherited; holds the lock on the home until the process ends.
        ends_with_pid: Process whose end also ends the engine; 0 = none.
    """

    engine_home: Path
    port: int
    heap: str
    lock_descriptor: int
    ends_with_pid: int

    def arguments(self) -> list[str]:
        """Return the arguments for ``from_arguments``."""
        return [str(self.engine_home), str(self.port), self.heap, str(self.lock_descriptor), str(self.ends_with_pid)]

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> "LaunchOrder":
        """Parse the result of ``arguments``."""
        engine_home, port, heap, lock_descriptor, ends_with_pid = arguments
        return cls(
            engine_home=Path(engine_home),
            port=int(port),
            heap=heap,
            lock_descriptor=int(lock_descriptor),
            ends_with_pid=int(ends_with_pid),
        )
