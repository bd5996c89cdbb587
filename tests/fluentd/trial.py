"""
Trial of the path from the files to the index: lines are written while Fluentd and Elasticsearch are killed.

Uses the committed configuration, a real Fluentd, a real Elasticsearch, and files that rotate constantly.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import elasticsearch

from inferlog.sinks.file import FileLimits, FileSink
from inferlog.sinks.retention import Retention
from inferlog_ops.core.cluster import Cluster
from tests.fluentd.lines import STREAMS, Expected, Line, make_lines, mark_in
from tests.fluentd.process import Fluentd
from tests.support.own_engine import OwnEngine
from tests.support.polling import wait_until
from tests.support.shipping import count_stored_ids

_TICK_SECONDS = 0.05
_STANDSTILL_SECONDS = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPlan:
    """
    Parameters of a trial.

    Attributes:
        count: Number of lines.
        seconds: Duration of writing them, at a constant rate.
        kills: Number of times that Fluentd is killed and restarted at once.
        outage_seconds: Duration of an outage of Elasticsearch after a kill; 0 for none.
        malformed_share: Share of malformed lines, from 0 to 1.
        refused_share: Share of refused lines, from 0 to 1.
        file_bytes: Size at which a log file rotates.
        seed: Random seed.
    """

    count: int
    seconds: float
    kills: int
    outage_seconds: float
    malformed_share: float = 0.01
    refused_share: float = 0.01
    file_bytes: int = 4_000_000
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FluentdTrialResult:
    """
    Lines by their end.

    Attributes:
        written: Lines in the files.
        found: Good lines in the index.
        dead_lettered: Other lines among the dead letters.
        lost: Marks of good lines missing from the index, and of others missing from the dead letters.
        astray: Marks of good lines among the dead letters, and unknown ids in the index.
        duplicates: Ids more than once in the index.
        letters_again: Number of repeated dead letters.
        health_lines: Fluentd's own lines in the health stream.
        files_left: Completely shipped log files that were not deleted.
        seconds: From the first line to the last one found.
    """

    written: int
    found: int
    dead_lettered: int
    lost: list[str]
    astray: list[str]
    duplicates: list[str]
    letters_again: int
    health_lines: int
    files_left: list[str]
    seconds: float


@dataclass
class Writer:
    """Writer of lines, one file per stream, that deletes shipped files as a service does."""

    plan: TrialPlan
    fluentd: Fluentd
    expected: Expected = field(default_factory=Expected)
    dropped: int = 0
    _done: threading.Event = field(default_factory=threading.Event)

    @property
    def retention(self) -> Retention:
        return Retention(self.fluentd.logs, keep_shipped_seconds=0.0, max_total_bytes=10**12)

    @contextmanager
    def write_in_background(self) -> Iterator[None]:
        """Write in the background; wait for the last line at the end of the block."""
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield
        finally:
            thread.join()
        assert self._done.is_set(), "the writer failed"

    def _write(self) -> None:
        plan, chance = self.plan, random.Random(self.plan.seed)
        limits = FileLimits(max_file_bytes=plan.file_bytes, max_file_age_seconds=3600.0)
        with ExitStack() as open_sinks:
            sinks = {}
            for stream in STREAMS:
                sinks[stream] = FileSink(
                    self.fluentd.logs,
                    stream=stream,
                    service="scoring",
                    instance_id=f"{chance.getrandbits(64):016x}",
                    limits=limits,
                    retention=self.retention,
                )
                open_sinks.callback(sinks[stream].close)
            wanted = make_lines(
                plan.count, malformed_share=plan.malformed_share, refused_share=plan.refused_share, chance=chance
            )
            for line in pace_lines(wanted, plan.count / plan.seconds):
                self.expected.add(line)
                self.dropped += not sinks[line.stream].write(line.text)
        self._done.set()


def pace_lines(wanted: Iterator[Line], per_second: float) -> Iterator[Line]:
    """Yield the *wanted* lines at a constant rate, or as fast as they are consumed."""
    began = time.monotonic()
    for number, line in enumerate(wanted):
        while (ahead_seconds := number / per_second - (time.monotonic() - began)) > 0:
            time.sleep(min(ahead_seconds, _TICK_SECONDS))
        yield line


def run_trial(
    plan: TrialPlan, *, engine: OwnEngine, fluentd: Fluentd, say: Callable[[str], None]
) -> FluentdTrialResult:
    """Run *plan* with a running, provisioned *engine* and a *fluentd* that is not started yet."""
    cluster = Cluster(url=engine.url, namespace=fluentd.namespace)
    writer = Writer(plan, fluentd)
    began = time.monotonic()
    fluentd.start()
    try:
        with writer.write_in_background():
            for due_seconds, act in sorted(_schedule_actions(plan, engine, fluentd, say), key=lambda each: each[0]):
                time.sleep(max(0.0, began + due_seconds - time.monotonic()))
                act()
        assert not writer.dropped
        say("all is written; waiting for the rest")
        _wait_for_all(cluster, fluentd, writer.expected, say)
        seconds = time.monotonic() - began
        files_left = _wait_for_deletion(writer)
        fluentd.stop()
    finally:
        fluentd.kill_if_alive()
    return _build_result(plan, cluster, fluentd, writer.expected, files_left, seconds)


def _schedule_actions(
    plan: TrialPlan, engine: OwnEngine, fluentd: Fluentd, say: Callable[[str], None]
) -> Iterator[tuple[float, Callable[[], None]]]:
    """Yield each action and its time, in seconds from the beginning."""
    chance = random.Random(plan.seed)

    def kill_fluentd() -> None:
        fluentd.wait_until_starting()
        time.sleep(chance.random() * 3)  # not always at the same point
        fluentd.kill()
        fluentd.start()
        say("killed Fluentd and started it again")

    def kill_engine() -> None:
        engine.kill()
        say("killed Elasticsearch")

    def start_engine() -> None:
        engine.start()
        say("started Elasticsearch again")

    for kill in range(plan.kills):
        yield plan.seconds * (kill + chance.random()) / plan.kills, kill_fluentd
    if plan.outage_seconds:
        away = plan.seconds * 0.15
        yield away, kill_engine
        yield away + plan.outage_seconds, start_engine


def _wait_for_all(cluster: Cluster, fluentd: Fluentd, expected: Expected, say: Callable[[str], None]) -> None:
    """Return when nothing is missing, or when nothing has arrived for a long time."""
    wanted = sum(map(len, (*expected.good.values(), *expected.dead.values())))
    arrived, last_change = -1, time.monotonic()
    while arrived < wanted and time.monotonic() - last_change < _STANDSTILL_SECONDS:
        now = _count_arrived(cluster, fluentd)
        if now != arrived:
            arrived, last_change = now, time.monotonic()
            say(f"{arrived} of {wanted}")
        time.sleep(1)


def _count_arrived(cluster: Cluster, fluentd: Fluentd) -> int:
    """Return the number of lines that have arrived."""
    with cluster.build_client() as client:
        try:
            found = client.count(
                index=f"logs-inference.*-{cluster.namespace}", query={"prefix": {"service.name": "scoring"}}
            )["count"]
        except elasticsearch.ApiError:
            found = 0
    return int(found) + sum(
        len({mark_in(letter) for letter in fluentd.read_dead_letters(stream)}) for stream in STREAMS
    )


def _wait_for_deletion(writer: Writer) -> list[str]:
    def left() -> list[str]:
        writer.retention.sweep()
        return sorted(path.name for path in writer.fluentd.logs.glob("*.jsonl"))

    try:
        wait_until(lambda: not left(), 30, "the deletion of shipped files")
    except AssertionError:
        return left()
    return []


def _build_result(
    plan: TrialPlan, cluster: Cluster, fluentd: Fluentd, expected: Expected, files_left: list[str], seconds: float
) -> FluentdTrialResult:
    lost: list[str] = []
    astray: list[str] = []
    duplicates: list[str] = []
    found_count = dead_count = letters_again = health_lines = 0
    for stream in STREAMS:
        found = count_stored_ids(cluster, stream)
        if stream == "health":
            own = Counter({each: times for each, times in found.items() if each not in expected.good[stream]})
            health_lines = len(own)
            assert _is_each_a_fluentd(cluster, set(own))
            found -= own
        letters = Counter(mark_in(letter) for letter in fluentd.read_dead_letters(stream))
        good, dead = expected.good[stream], expected.dead[stream]
        lost += [*(good - found.keys()), *(dead - letters.keys())]
        astray += [*(found.keys() - good), *(letters.keys() - dead)]
        duplicates += [mark for mark, times in found.items() if times > 1]
        found_count += len(good & found.keys())
        dead_count += len(dead & letters.keys())
        letters_again += letters.total() - len(letters)
    return FluentdTrialResult(
        written=plan.count,
        found=found_count,
        dead_lettered=dead_count,
        lost=sorted(lost),
        astray=sorted(astray),
        duplicates=sorted(duplicates),
        letters_again=letters_again,
        health_lines=health_lines,
        files_left=files_left,
        seconds=seconds,
    )


def _is_each_a_fluentd(cluster: Cluster, ids: set[str]) -> bool:
    index = f"logs-inference.health-{cluster.namespace}"
    with cluster.build_client() as client:
        found = client.count(index=index, query={"term": {"service.name": "inferlog-fluentd"}})["count"]
    return bool(found == len(ids))
