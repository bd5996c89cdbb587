"""Discovery of log files: keeps the tracked files in step with the log directory."""

import os
import re
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from inferlog.sinks.shipped import find_active_shippers
from inferlog_ops.core.files import NOT_LOGS
from inferlog_ops.core.progress import ReportProgress
from inferlog_ops.core.streams import STREAMS
from inferlog_ops.ship.clock_skew import Moment
from inferlog_ops.ship.offsets import Fingerprint, FoundFile, OffsetTracker, SavedOffset, TrackedFile
from inferlog_ops.ship.sightings import Sightings, list_folders
from inferlog_ops.ship.status import Counters

_NAME = re.compile(rf"({'|'.join(STREAMS)})-.+\.jsonl")

_KEPT_SECONDS = 7 * 24 * 3600.0
"""How long the offsets of missing files are kept that may return, such as with a volume that is not mounted."""

_LOOK_FOR_OTHERS_SECONDS = 0.2
"""Time between looks for other shippers, for each hundred folders: a look into one takes 50 µs."""


@dataclass(slots=True)
class Listing:
    """
    The result of one poll of the log directory.

    Attributes:
        files: The log files.
        left_alone: Names of other files.
        unreadable: Names of unreadable directories, each with the problem. A missing file in one of them may exist.
        is_missing: Whether the log directory itself does not exist.
        folders: Names of all directories, relative to the log directory, which is the empty name.
    """

    files: list[FoundFile] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    left_alone: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    is_missing: bool = False

    @property
    def problems(self) -> list[str]:
        return list(self.unreadable.values())

    def may_contain(self, name: str) -> bool:
        """Whether the file *name*, which was not found, may be in a directory that was not readable."""
        return bool(self.unreadable) and any(folder in self.unreadable for folder in list_folders(name))


class FileDiscovery:
    """Polls the log directory and updates the tracker: new, grown, replaced and deleted files. For one thread only."""

    def __init__(
        self,
        root: Path,
        tracker: OffsetTracker,
        saved: Mapping[str, SavedOffset],
        counters: Counters,
        log: ReportProgress,
        *,
        shipper_id: str,
    ) -> None:
        self._root = root
        self._tracker = tracker
        self._sightings = Sightings(saved)
        self._counters = counters
        self._log = log
        self._shipper_id = shipper_id
        self._others: set[str] = set()
        self._shared: set[str] = set()
        self._look_for_others_at = 0.0
        self._replaced: list[TrackedFile] = []
        self.listing = Listing()
        tracker.set_missing(saved)

    def poll(self) -> None:
        """Update the tracker with every file in its current state."""
        polled_at = Moment.read_clocks()
        self.listing = list_folder(self._root)
        found_names = {found.name for found in self.listing.files}
        self._sightings.record(found_names, self.listing.folders)
        # Missing files first: a checkpoint in between must not pair them with new files, as if they had been together.
        for file in self._tracker.list_files():
            file.set_gone(file.name not in found_names and not self.listing.may_contain(file.name))
        self._forget_missing(found_names)
        self.forget_gone()
        for found in self.listing.files:
            self._update(found, polled_at)
        self._mark_shared(found_names)

    def forget_gone(self, *, drops_in_flight: bool = False) -> None:
        """Stop tracking missing files without lines in flight; with *drops_in_flight* all, and count those lines."""
        for file in self._tracker.list_files():
            if file.is_gone and (drops_in_flight or not file.byte_ranges):
                may_return = self._may_return(file.name, file.acknowledged_offset)
                self._tracker.forget(file, missing_since=time.time() if may_return else None)
                if not may_return:
                    self._sightings.forget(file.name)
                if lost_bytes := file.unread_bytes + file.in_flight_bytes:
                    self._counters.add(lost_files=1, lost_bytes=lost_bytes)
                    self._log(f"{file.name} has disappeared: {lost_bytes} bytes of it were not shipped")
        self._replaced = [file for file in self._replaced if file.byte_ranges]
        if drops_in_flight:
            for file in self._replaced:
                self._counters.add(lost_files=not file.unread_bytes, lost_bytes=file.in_flight_bytes)
                self._log(f"{file.name} was replaced before: {file.in_flight_bytes} bytes of it were not shipped")

    def restart(self, file: TrackedFile, found: FoundFile) -> TrackedFile:
        """
        Track *found*, which replaced *file*, from its beginning. The event ids prevent duplicates.

        Lines that were read before are still sent.
        """
        if found.inode == file.fingerprint.inode and found.size >= file.read_offset:
            file.end_at_confirmed_size()
        lost_bytes = file.unread_bytes
        if lost_bytes:
            self._counters.add(lost_files=1, lost_bytes=lost_bytes)
        self._replaced.append(file)
        self._log_replaced(found, file.read_offset, lost_bytes)
        return self._tracker.track(found, Fingerprint.build(found))

    def _update(self, found: FoundFile, polled_at: Moment) -> None:
        file = self._tracker.get(found.name)
        if file is None:
            self._track(found)
        elif file.fingerprint.inode != found.inode or found.size < file.read_offset:
            self.restart(file, found)
        else:
            self._count_cut(file, found.size)
            self._tracker.update(file, found, polled_at)

    def _count_cut(self, file: TrackedFile, size: int) -> None:
        """Count unread lines that a truncation to *size* has removed."""
        lost_bytes = file.unread_bytes - max(0, size - file.read_offset)
        if lost_bytes > 0:
            self._counters.add(lost_files=1, lost_bytes=lost_bytes)
            self._log(f"{file.name} was truncated to {size} bytes: {lost_bytes} bytes of it were not shipped")

    def _mark_shared(self, names: Iterable[str]) -> None:
        """Mark the lines of folders that another shipper ships: with the same cluster it may have stored them."""
        if time.monotonic() >= self._look_for_others_at:
            folders = {name.rpartition("/")[0] for name in names}
            self._look_for_others_at = time.monotonic() + len(folders) // 100 * _LOOK_FOR_OTHERS_SECONDS
            self._shared = {folder for folder in folders if self._has_other_shipper(self._root / folder)}
        if self._shared:
            for name in names:
                if name.rpartition("/")[0] in self._shared and (file := self._tracker.get(name)):
                    file.mark_maybe_stored()

    def _has_other_shipper(self, folder: Path) -> bool:
        others = find_active_shippers(folder, time.time()) - {self._shipper_id}
        for other in sorted(others - self._others):
            self._log(
                f"the shipper {other} has also shipped {folder} within the last hour: "
                "if both ship to the same cluster, stop one of them"
            )
        self._others |= others
        return bool(others)

    def _track(self, found: FoundFile) -> None:
        saved = self._tracker.get_missing(found.name)
        if saved is None:
            self._tracker.track(found, Fingerprint.build(found))
            return
        # The head digest is checked when the file is opened, inode and size are checked here.
        if saved.fingerprint.inode == found.inode and found.size >= saved.offset:
            self._tracker.track(found, saved.fingerprint, saved.offset)
        else:
            # The size of the file that the offset belongs to is unknown.
            self._log_replaced(found, saved.offset, 0)
            self._tracker.track(found, Fingerprint.build(found))

    def _log_replaced(self, found: FoundFile, read_offset: int, lost_bytes: int) -> None:
        lost = f"; {lost_bytes} bytes of the old content were not shipped" if lost_bytes else ""
        self._log(
            f"{found.name} was replaced or truncated ({found.size} bytes, {read_offset} had been read): "
            f"it is read from its beginning{lost}"
        )

    def _forget_missing(self, found_names: Collection[str]) -> None:
        """Keep the offsets of missing files only if they may return."""
        now = time.time()
        kept = {}
        for name, saved in self._tracker.list_missing().items():
            since = now if saved.missing_since is None else saved.missing_since
            if name in found_names or self.listing.may_contain(name):
                kept[name] = saved
            elif self._may_return(name, saved.offset) and now - since < _KEPT_SECONDS:
                kept[name] = replace(saved, missing_since=since)
            else:
                self._sightings.forget(name)
        self._tracker.set_missing(kept)

    def _may_return(self, name: str, offset: int) -> bool:
        """Whether a missing file may return, and reading it would not begin at 0 anyway."""
        return offset > 0 and not self._sightings.is_deleted(name)


def find_stream(file_name: str) -> str | None:
    """Return the stream of the log file *file_name*; None for any other file."""
    match = _NAME.fullmatch(file_name)
    # An unprintable name cannot be written into a status line or the offset file.
    return match[1] if match and file_name.isprintable() else None


def list_folder(root: Path) -> Listing:
    """
    List *root* and all directories in it, except hidden ones and ``lost+found``.

    Symlinks are not followed: with one, a user who can write there could ship any file that this process can read.
    """
    listing = Listing()
    folders = [""]
    while folders:
        folder = folders.pop()
        listing.folders.add(folder.rstrip("/"))
        try:
            for entry in _scan(root / folder):
                name = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{name}/")
                else:
                    _add_entry(listing, name, entry)
        except OSError as error:
            if folder and isinstance(error, FileNotFoundError):
                continue  # deleted since its parent was read
            listing.unreadable[folder.rstrip("/")] = f"cannot read the folder {root / folder}: {error.strerror}"
            listing.is_missing |= isinstance(error, FileNotFoundError)
    listing.files.sort(key=lambda file: file.name)
    listing.left_alone.sort()
    return listing


def _scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith(".") and entry.name != NOT_LOGS)


def _add_entry(listing: Listing, name: str, entry: os.DirEntry[str]) -> None:
    stream = find_stream(entry.name)
    if stream is None or not name.isprintable():
        listing.left_alone.append(name if name.isprintable() else ascii(name))
        return
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        listing.left_alone.append(name)
        return
    listing.files.append(FoundFile.build(name, stream, status))
