"""Keeps the ledger's files in step with the folder: new, grown, replaced, gone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from inferlog_ops.core.progress import Say
from inferlog_ops.ship.clock_skew import Moment
from inferlog_ops.ship.counters import Counters
from inferlog_ops.ship.discovery import FoundFile, Listing, list_folder
from inferlog_ops.ship.offsets import Fingerprint, OffsetTracker, TrackedFile
from inferlog_ops.ship.positions import SavedPosition


class FileDiscovery:
    """Looks through the folder and tells the ledger. One thread only."""

    def __init__(
        self,
        root: Path,
        ledger: OffsetTracker,
        saved: Mapping[str, SavedPosition],
        counters: Counters,
        say: Say,
    ) -> None:
        self._root = root
        self._ledger = ledger
        self._saved = dict(saved)
        self._counters = counters
        self._say = say
        self.listing = Listing()

    def look(self) -> None:
        """Take note of every file as it is now."""
        looked_at = Moment.now()
        self.listing = list_folder(self._root)
        found_names = set()
        for found in self.listing.files:
            found_names.add(found.name)
            self._note(found, looked_at)
        if not self.listing.problems:
            for file in self._ledger.files():
                file.gone = file.name not in found_names
            self._saved = {name: saved for name, saved in self._saved.items() if name in found_names}
        self.forget_gone()

    def forget_gone(self) -> None:
        """Stop following files that have disappeared, once nothing of them is on its way."""
        for file in self._ledger.files():
            if file.gone and not file.spans:
                self._ledger.forget(file)
                if file.behind_bytes:
                    self._counters.add(lost_files=1, lost_bytes=file.behind_bytes)
                    self._say(f"{file.name} has disappeared: {file.behind_bytes} bytes of it were not shipped")

    def follow_anew(self, file: TrackedFile, identity: Fingerprint, size: int) -> TrackedFile:
        """Follow what now stands under the name of *file* from its beginning. The ids make a repetition harmless."""
        self._say(
            f"{file.name} is not the file that it was, or shorter than it was ({size} bytes, {file.read_to} had been "
            "read): it is read from its beginning"
        )
        found = FoundFile(name=file.name, stream=file.stream, device=identity.device, inode=identity.inode, size=size)
        return self._ledger.track(found, identity)

    def _note(self, found: FoundFile, looked_at: Moment) -> None:
        file = self._ledger.get(found.name)
        identity = Fingerprint(device=found.device, inode=found.inode)
        if file is None:
            self._track(found, identity)
        elif _is_other(file.identity, identity) or found.size < file.read_to:
            self.follow_anew(file, identity, found.size)
        else:
            if found.size < file.size:
                file.scanned_to = file.read_to  # half a line was taken back
            file.size = found.size
            if found.size == file.read_to:
                file.caught_up_at = looked_at

    def _track(self, found: FoundFile, identity: Fingerprint) -> None:
        saved = self._saved.pop(found.name, None)
        if saved is None:
            self._ledger.track(found, identity)
            return
        # Its first bytes are compared when it is opened; what the listing shows is compared here.
        known = replace(saved.identity, device=identity.device, inode=identity.inode)
        file = self._ledger.track(found, known, saved.position)
        if _is_other(saved.identity, identity) or found.size < saved.position:
            self.follow_anew(file, identity, found.size)


def _is_other(known: Fingerprint, seen: Fingerprint) -> bool:
    return (known.device, known.inode) != (seen.device, seen.inode)
