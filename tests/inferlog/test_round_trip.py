"""Event to line to event: the parsed values are the bound ones, and the chain is valid."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import inferlog
from inferlog.audit import FIRST, Hasher, split
from inferlog.event import ACTION_AND_OUTCOME, COUNT_MAX, FIELDS
from inferlog.testing import recording

# A short word is not a secret or a credential: it is written unchanged.
words = st.from_regex(r"[a-z][a-z0-9-]{0,11}", fullmatch=True)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256)
measures = st.floats(0, 999_999).map(lambda seconds: round(seconds, 6))
counts = st.integers(0, COUNT_MAX)
OF_A_KIND: dict[str, st.SearchStrategy[Any]] = {
    "request_id": st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    "correlation_id": st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    "status": st.sampled_from(sorted(ACTION_AND_OUTCOME)),
    "started_at": st.datetimes(datetime(1970, 1, 1), datetime(2261, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    "http_response_status_code": st.integers(100, 599),
    "finish_reasons": st.lists(names, min_size=1, max_size=3),
    "error_message": words,
    "error_stack_trace": words,
    "client_id": words,
}


def choose_strategy(name: str) -> st.SearchStrategy[Any]:
    if name in OF_A_KIND:
        return OF_A_KIND[name]
    if name.endswith(("_seconds", "_usd")):
        return measures
    return counts if name.endswith(("_tokens", "_flight", "_size")) else names


stated = st.fixed_dictionaries(
    {}, optional={name: choose_strategy(name) for name in FIELDS if name != "latency_seconds"}
)
label_names = words.map(lambda word: f"x_{word}_y")  # no field's, and no secret's
labels = st.dictionaries(label_names, words | st.integers(-(2**63) + 1, 2**63 - 1) | st.booleans(), max_size=5)


@given(st.lists(st.tuples(stated, labels), min_size=1, max_size=4))
def test_event_is_read_with_written_values(events: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    with recording(client_id_plain=True) as recorded:
        for values, more in events:
            with inferlog.track_performance("round trip") as call:
                for name, value in {**values, **more}.items():
                    setattr(call, name, value)
    lines = recorded.sink("events").lines
    assert len(lines) == len(events)
    before = FIRST
    for sequence, (line, (values, more)) in enumerate(zip(lines, events, strict=True)):
        event = json.loads(line)
        read = {name: get_at(event, FIELDS[name].path) for name in values}
        if "started_at" in read:
            read["started_at"] = datetime.fromisoformat(read["started_at"])
        assert read == values
        assert event.get("labels", {}) == more
        failed = {"error_type", "error_message"} & values.keys()
        status = values.get("status", "error" if failed else "success")
        assert (event["event"]["action"], event["event"]["outcome"]) == ACTION_AND_OUTCOME[status]
        assert event["event"]["sequence"] == sequence
        previous, own, microseconds, body = split(event)
        assert (previous, own) == (before, Hasher()(previous, microseconds, body))
        before = own


def get_at(event: Any, place: tuple[str, ...]) -> Any:
    for step in place:
        event = event[step]
    return event
