from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.ship.offsets import Fingerprint, FoundFile, OffsetTracker, TrackedFile


def track(tracker: OffsetTracker, size: int = 1_000_000) -> TrackedFile:
    found = FoundFile(name="events-a-b.jsonl", stream="events", device=1, inode=2, size=size, mtime_ns=3)
    return tracker.track(found, Fingerprint(device=1, inode=2))


@given(lengths=st.lists(st.integers(1, 100), min_size=1, max_size=20), data=st.data())
def test_acknowledged_offset_never_passes_an_unacknowledged_line(lengths: list[int], data: st.DataObject) -> None:
    tracker = OffsetTracker()
    file = track(tracker)
    byte_ranges = [tracker.reserve(file, end) for end in accumulate(lengths)]
    answered = set()
    for number in data.draw(st.permutations(range(len(byte_ranges)))):
        tracker.acknowledge([byte_ranges[number]])
        answered.add(number)
        unanswered = [byte_range.start for n, byte_range in enumerate(byte_ranges) if n not in answered]
        assert file.acknowledged_offset == min(unanswered, default=sum(lengths))


def test_acknowledgements_of_a_replaced_file_do_not_move_the_new_one() -> None:
    tracker = OffsetTracker()
    old = track(tracker)
    byte_range = tracker.reserve(old, 100)
    new = track(tracker, size=50)
    tracker.acknowledge([byte_range])
    assert tracker.list_files() == [new]
    assert new.acknowledged_offset == 0
