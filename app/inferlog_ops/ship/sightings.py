"""Sightings of log files: they distinguish a deleted file from one whose volume is not mounted."""

from collections.abc import Collection, Iterator, Mapping

from inferlog_ops.ship.offsets import SavedOffset


class Sightings:
    """
    The first and the last poll of the latest time without interruption in which each file was found.

    A missing file was deleted if a file of its folder is still there that an earlier poll found together with it. If
    all of them are missing, the folder may be another one: a mount point without its volume, or a wrong ``--from``.
    Files that have appeared since prove nothing.

    Args:
        saved: The offsets of earlier runs. Their files were there together before the first poll.
    """

    def __init__(self, saved: Mapping[str, SavedOffset]) -> None:
        self._polls = 0
        self._first = {name: 0 for name, offset in saved.items() if offset.missing_since is None}
        self._last = dict(self._first)
        self._folders: Collection[str] = ()
        self._oldest: dict[str, int] | None = None

    def record(self, names: Collection[str], folders: Collection[str]) -> None:
        """Record a poll that found the files *names* in *folders*."""
        self._polls += 1
        self._folders = folders
        self._oldest = None
        for name in names:
            if self._last.get(name) != self._polls - 1:
                self._first[name] = self._polls  # new, or back after an interruption
            self._last[name] = self._polls

    def forget(self, name: str) -> None:
        self._first.pop(name, None)
        self._last.pop(name, None)

    def is_deleted(self, name: str) -> bool:
        """Whether the missing file *name* was certainly deleted, as of the last poll."""
        last = self._last.get(name)
        if last is None or last == self._polls:
            return False
        if self._oldest is None:
            self._oldest = self._find_oldest()
        folder = next((folder for folder in list_folders(name) if folder in self._folders), "")
        return self._oldest.get(folder, self._polls) <= last

    def _find_oldest(self) -> dict[str, int]:
        """Return, by folder, the first poll that found a file in it or below that is still there."""
        oldest: dict[str, int] = {}
        for name, last in self._last.items():
            if last == self._polls:
                for folder in list_folders(name):
                    oldest[folder] = min(oldest.get(folder, self._polls), self._first[name])
        return oldest


def list_folders(name: str) -> Iterator[str]:
    """Yield the folders of the file *name* from the innermost to the log directory, which is the empty name."""
    while name:
        name = name.rpartition("/")[0]
        yield name
