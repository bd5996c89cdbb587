"""Which bytes of which file have been read, and up to where all of them are answered."""

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from inferlog_ops.ship.clock_skew import Moment
from inferlog_ops.ship.discovery import FoundFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """
    How a file is known again after a restart, although another one may have taken its name, or even its inode.

    Attributes:
        device: Number of the file system.
        inode: Number of the file in it.
        head_bytes: How many of the first bytes *head_digest* stands for; 0 until some were read.
        head_digest: Hexadecimal digest of these bytes. The first line holds an id, so no two files have the same.
    """

    device: int
    inode: int
    head_bytes: int = 0
    head_digest: str = ""


@dataclass(slots=True, eq=False)
class Span:
    """Some lines of one file that are on their way together, from *start* to before *end*, in bytes."""

    file: "TrackedFile"
    start: int
    end: int
    answered: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class TrackedFile:
    """
    One log file and how far it has come. All numbers are bytes from its beginning.

    Attributes:
        name: Path relative to the folder of logs.
        stream: Where its lines go.
        identity: How it is known again.
        size: At the last look.
        position: Every line before it is answered.
        read_to: Every line before it has been read.
        scanned_to: Between *read_to* and here there is no end of a line.
        doubtful_to: Lines before it may have been sent by an earlier shipper: the file was as long when it was found.
        caught_up_at: The last look at which every byte had been read; None before the first such look.
        gone: Whether the file has disappeared.
        trouble: Why it cannot be read, if it cannot.
        spans: What is on its way, oldest first.
    """

    name: str
    stream: str
    identity: Fingerprint
    size: int
    position: int = 0
    read_to: int = 0
    scanned_to: int = 0
    doubtful_to: int = 0
    caught_up_at: Moment | None = None
    gone: bool = False
    trouble: str | None = None
    spans: deque[Span] = field(default_factory=deque)

    @property
    def has_unread(self) -> bool:
        """Whether there may be a whole line that has not been read."""
        return not self.gone and max(self.read_to, self.scanned_to) < self.size

    @property
    def ends_in_half_a_line(self) -> bool:
        """Whether something is left that is no whole line yet."""
        return not self.gone and self.read_to < self.size and not self.has_unread

    @property
    def behind_bytes(self) -> int:
        """How much of it is not answered, but for half a line at its end, which cannot be sent."""
        end_of_lines = self.read_to if self.scanned_to >= self.size else self.size
        return max(0, end_of_lines - self.position)


class OffsetTracker:
    """The files by name. Safe to use from several threads."""

    def __init__(self) -> None:
        self._files: dict[str, TrackedFile] = {}
        self._lock = threading.Lock()
        self._changes = 0
        self._answered_bytes = 0

    @property
    def answered_bytes(self) -> int:
        """How many bytes were answered since the start."""
        return self._answered_bytes

    @property
    def changes(self) -> int:
        """Grows whenever something that is worth saving has changed."""
        return self._changes

    def files(self) -> list[TrackedFile]:
        """Return all files, in the order in which they were found."""
        with self._lock:
            return list(self._files.values())

    def get(self, name: str) -> TrackedFile | None:
        """Return the file of this name, if it is known."""
        with self._lock:
            return self._files.get(name)

    def track(self, found: FoundFile, identity: Fingerprint, position: int = 0) -> TrackedFile:
        """
        Follow *found* from *position* on; whoever had its name before is no longer followed.

        All that it holds by now counts as doubtful: another shipper, or this one before a crash, may have sent it.
        """
        file = TrackedFile(
            name=found.name,
            stream=found.stream,
            identity=identity,
            size=found.size,
            position=position,
            read_to=position,
            doubtful_to=found.size,
        )
        with self._lock:
            self._files[file.name] = file
            self._changes += 1
        return file

    def forget(self, file: TrackedFile) -> None:
        """Follow *file* no longer."""
        with self._lock:
            if self._files.get(file.name) is file:
                del self._files[file.name]
                self._changes += 1

    def claim(self, file: TrackedFile, end: int) -> Span:
        """Note that the lines from *file*'s ``read_to`` to *end* are on their way."""
        with self._lock:
            span = Span(file, file.read_to, end)
            file.spans.append(span)
            file.read_to = file.scanned_to = end
        return span

    def settle(self, spans: Iterable[Span]) -> None:
        """Note that all of *spans* is answered: positions move over what is answered without a gap."""
        with self._lock:
            for span in spans:
                span.answered = True
                self._answered_bytes += span.end - span.start
                waiting = span.file.spans
                while waiting and waiting[0].answered:
                    span.file.position = waiting.popleft().end
            self._changes += 1

    def behind_bytes(self) -> int:
        """Return how many bytes of all files are not answered."""
        return sum(file.behind_bytes for file in self.files())
