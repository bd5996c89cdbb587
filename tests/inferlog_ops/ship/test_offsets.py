from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from inferlog_ops.ship.discovery import FoundFile
from inferlog_ops.ship.offsets import Fingerprint, OffsetTracker, TrackedFile


def tracked(ledger: OffsetTracker, size: int = 1_000_000) -> TrackedFile:
    found = FoundFile(name="events-a-b.jsonl", stream="events", device=1, inode=2, size=size)
    return ledger.track(found, Fingerprint(device=1, inode=2))


@given(lengths=st.lists(st.integers(1, 100), min_size=1, max_size=20), data=st.data())
def test_the_position_never_passes_a_line_that_is_not_answered(lengths: list[int], data: st.DataObject) -> None:
    ledger = OffsetTracker()
    file = tracked(ledger)
    spans = [ledger.claim(file, end) for end in accumulate(lengths)]
    answered = set()
    for number in data.draw(st.permutations(range(len(spans)))):
        ledger.settle([spans[number]])
        answered.add(number)
        unanswered = [span.start for n, span in enumerate(spans) if n not in answered]
        assert file.position == min(unanswered, default=sum(lengths))


def test_a_file_that_was_replaced_keeps_its_answers_to_itself() -> None:
    ledger = OffsetTracker()
    old = tracked(ledger)
    span = ledger.claim(old, 100)
    new = tracked(ledger, size=50)
    ledger.settle([span])
    assert ledger.files() == [new]
    assert new.position == 0
