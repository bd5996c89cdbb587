"""Puts together what disk, store and load show after a trial."""

from collections import Counter
from collections.abc import Collection

from inferlog_ops.core.cluster import Cluster
from tests.chaos.account import holes, missing_at_first, sequences, settle
from tests.chaos.dirs import Dirs
from tests.chaos.disk import Line, read_lines
from tests.chaos.faults.lines import BAD_FILES
from tests.chaos.heartbeats import last_heartbeats
from tests.chaos.letters import letter_places
from tests.chaos.observed import Observed, Traffic
from tests.chaos.records import p99_seconds, read_requests
from tests.chaos.store import reported_lost, stored_ids

Window = tuple[float, float]
"""From and to; Unix time."""


def gather(
    place: Dirs,
    cluster: Cluster,
    *,
    removed_files: Collection[str],
    before: Window,
    during: Window,
    caught_up_seconds: float | None,
) -> Observed:
    """
    Return what is to be seen once nothing writes or ships any more.

    Args:
        place: The trial's directories.
        cluster: The engine itself, and the trial's namespace.
        removed_files: Names of log files that were deleted before they were shipped.
        before: When nothing had gone wrong yet.
        during: When something went wrong.
        caught_up_seconds: As it was measured; None if it took too long.

    Raises:
        OperatorError: If the store does not answer.
    """
    lines = read_lines(place.kept)
    stored = stored_ids(cluster)
    letters = letter_places(place.dead_letters)
    dead = {(line.file, line.offset) for line in lines if line.id is None or line.file.startswith(BAD_FILES)}
    numbers = sequences(lines)
    return Observed(
        account=settle(lines, stored, letters, removed_files),
        on_disk={instance: len(seen) for instance, seen in numbers.items()},
        dropped=holes(numbers),
        dropped_at_first=missing_at_first(numbers),
        removed=Counter(
            line.instance
            for line in lines
            if line.file in removed_files and line.sequence is not None and not stored[line.stream, line.id or ""]
        ),
        reported=reported_lost(cluster),
        heartbeats=last_heartbeats(lines),
        complaints=_complaints(place),
        dead_lines=len(dead),
        wrong_letters=len(set(letters) - dead),
        caught_up_seconds=caught_up_seconds,
        traffic=_traffic(place, lines, before, during),
    )


def _complaints(place: Dirs) -> int:
    output = (place.output / "server.log").read_text(errors="replace")
    return sum(line.startswith("inferlog: ") for line in output.splitlines())


def _traffic(place: Dirs, lines: list[Line], before: Window, during: Window) -> Traffic:
    requests = read_requests(place.records)
    with_event = {line.content.get("correlation_id") for line in lines if line.stream == "events"}
    with_answer = [request for request in requests if request.status_code is not None]
    answered = sum(request.answered for request in with_answer)
    return Traffic(
        sent=len(requests),
        answered=answered,
        failed=len(with_answer) - answered,
        without_event=sum(request.correlation_id not in with_event for request in with_answer),
        p99_before_seconds=p99_seconds(requests, *before),
        p99_during_seconds=p99_seconds(requests, *during),
    )
