import threading

from inferlog_ops.ship.batch import Batch
from inferlog_ops.ship.schedule import Schedule
from tests.support.polling import wait_until


def test_batches_are_taken_in_order_and_only_when_due() -> None:
    schedule = Schedule(stream_batches=4, shortened_seconds=0)
    late, first, second = Batch(stream="events"), Batch(stream="app"), Batch(stream="app")
    schedule.postpone(late, 0.05)
    schedule.submit(first)
    schedule.submit(second)
    assert [schedule.take() for _ in range(3)] == [first, second, late]


def test_each_stream_has_its_own_limit_of_batches() -> None:
    schedule = Schedule(stream_batches=2, shortened_seconds=0)
    batches = [Batch(stream="events") for _ in range(2)]
    for batch in batches:
        schedule.submit(batch)
    assert not schedule.has_room("events")
    assert schedule.has_room("app")
    schedule.postpone(schedule.take() or batches[0], 60)
    assert not schedule.has_room("events")
    schedule.finish(batches[1])
    assert schedule.has_room("events")


def test_finished_batch_ends_the_delays_of_its_stream_only() -> None:
    schedule = Schedule(stream_batches=4, shortened_seconds=0)
    waiting, other, through = Batch(stream="events"), Batch(stream="app"), Batch(stream="events")
    schedule.postpone(waiting, 60)
    schedule.postpone(other, 60)
    schedule.submit(through)
    assert schedule.take() is through
    schedule.finish(through)
    assert schedule.take() is waiting
    schedule.close()
    assert schedule.take() is None


def test_close_wakes_waiting_senders_and_keeps_due_batches() -> None:
    schedule = Schedule(stream_batches=4, shortened_seconds=0)
    taken: list[Batch | None] = []
    sender = threading.Thread(target=lambda: taken.append(schedule.take()))
    sender.start()
    schedule.close()
    sender.join(5)
    assert taken == [None]
    late = Batch(stream="events")
    schedule.postpone(late, 0)
    assert schedule.take() is None


def test_batches_dropped_at_close_remain_unacknowledged() -> None:
    schedule = Schedule(stream_batches=4, shortened_seconds=0)
    waiting, failing = Batch(stream="events"), Batch(stream="events", reason="503")
    schedule.postpone(waiting, 60)
    schedule.submit(failing)
    assert schedule.take() is failing
    schedule.close()
    schedule.postpone(failing, 0)
    assert schedule.take() is None
    assert not schedule.is_empty()
    assert schedule.list_reasons() == ["503"]


def test_change_before_the_wait_is_not_missed() -> None:
    schedule = Schedule(stream_batches=1, shortened_seconds=0)
    batch = Batch(stream="events")
    schedule.submit(batch)
    seen = schedule.changes
    schedule.finish(batch)
    waiter = threading.Thread(target=lambda: schedule.wait_for_change(seen, 60))
    waiter.start()
    wait_until(lambda: not waiter.is_alive(), what="the waiter")


def test_reasons_are_listed_once_the_most_frequent_first() -> None:
    schedule = Schedule(stream_batches=4, shortened_seconds=0)
    for reason in ("503", "429", "503", None):
        batch = Batch(stream="events", reason=reason)
        schedule.submit(batch)
    assert schedule.list_reasons() == ["503", "429"]
