"""Documents on both sides of each rule's threshold, and the expected alerts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.rules.rules import load_all

Document = dict[str, Any]

LEVELS = ServiceLevels(
    default={
        "p99_latency_seconds": 5,
        "error_rate": 0.01,
        "ingest_lag_p99_seconds": 5,
        "shipper_behind_seconds": 60,
        "clock_skew_seconds": 5,
        "silent_after_seconds": 60,
        "no_traffic_after_seconds": 600,
    },
    by_model_version={"v8": {"p99_latency_seconds": 20}, 'odd" OR true //\\': {"error_rate": 0.5}},
)
_FIRST = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)
_APART = timedelta(days=3)  # no rule looks back as far
_ids = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    Documents before one moment, and the expected alerts of one rule.

    Attributes:
        rule: Name of the rule.
        what: Description of the documents.
        documents: Stream and document; ``seconds_ago`` in place of ``@timestamp``, ``started_seconds_ago`` in place of
            ``instance_started``.
        fires: Groups that fire, and the figure of each.
        at: Time of the evaluation; cases are days apart, so that they share one index.
    """

    rule: str
    what: str
    documents: list[tuple[str, Document]]
    fires: dict[str, float] = field(default_factory=dict)
    at: datetime = _FIRST

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"

    def build_lines(self, at: datetime) -> Iterator[tuple[str, Document]]:
        """Yield stream and document to index, relative to *at*."""
        for stream, document in self.documents:
            moment = at - timedelta(seconds=document["seconds_ago"])
            rest = {
                name: value for name, value in document.items() if not name.endswith(("seconds_ago", "lag_seconds"))
            }
            if "started_seconds_ago" in document:
                rest["instance_started"] = _format_iso(at - timedelta(seconds=document["started_seconds_ago"]))
            event = {"id": f"{next(_ids):032x}", **rest.pop("event", {})}
            if "lag_seconds" in document:
                event["ingested"] = _format_iso(moment + timedelta(seconds=document["lag_seconds"]))
            yield stream, {"@timestamp": _format_iso(moment), **rest, "event": event}


def build_cases() -> list[Case]:
    """Return all cases, each at its own time."""
    made = [
        *_build_p99_latency(), *_build_error_rate(), *_build_error_budget_burn(), *_build_no_traffic(),
        *_build_lost_events(), *_build_ingest_lag(), *_build_shippers(), *_build_clock_skew(), *_build_fluentd(),
        *_build_silent_instance(), *_build_canary(),
    ]  # fmt: skip
    assert {case.rule for case in made if case.fires} == set(load_all()), "each rule needs a case in which it fires"
    assert {case.rule for case in made if not case.fires} == set(load_all()), "each rule needs a case in which not"
    return [
        Case(rule=case.rule, what=case.what, documents=case.documents, fires=case.fires, at=_FIRST + number * _APART)
        for number, case in enumerate(made)
    ]


def _build_p99_latency() -> Iterator[Case]:
    rule = "p99_latency"
    yield Case(
        rule=rule, what="two of 101 are slow", documents=[*_send(99), *_send(2, latency_seconds=9.0)],
        fires={"v1": 9.0},
    )  # fmt: skip
    yield Case(rule=rule, what="one of 101 is slow", documents=[*_send(100), *_send(1, latency_seconds=9.0)])
    yield Case(rule=rule, what="all take as long as is allowed", documents=_send(101, latency_seconds=5.0))
    yield Case(rule=rule, what="all of too few are slow", documents=_send(100, latency_seconds=9.0))
    yield Case(rule=rule, what="all were slow before", documents=_send(200, latency_seconds=9.0, after=901))
    yield Case(
        rule=rule, what="one version is slow, another has a separate level",
        documents=[
            *_send(101), *_send(101, "v2", latency_seconds=6.0), *_send(101, "v8", latency_seconds=6.0)
        ],
        fires={"v2": 6.0},
    )  # fmt: skip
    yield Case(
        rule=rule, what="its own level is exceeded", documents=_send(101, "v8", latency_seconds=21.0),
        fires={"v8": 21.0},
    )  # fmt: skip


def _build_error_rate() -> Iterator[Case]:
    rule = "error_rate"
    yield Case(rule=rule, what="5 of 499 fail", documents=[*_send(494), *_fail(5)], fires={"v1": 5 / 499})
    yield Case(rule=rule, what="5 of 500 fail", documents=[*_send(495), *_fail(5)])
    yield Case(rule=rule, what="4 of 4 fail", documents=_fail(4))
    yield Case(rule=rule, what="all are refused or leave", documents=[
        *_send(20, status="rejected"), *_send(20, status="cancelled")
    ])  # fmt: skip
    yield Case(
        rule=rule, what="requests without a version fail",
        documents=[*_send(100), *_fail(5, None), *_fail(5, 'odd" OR true //\\')],
        fires={"(none)": 1.0, 'odd" OR true //\\': 1.0},
    )  # fmt: skip


def _build_error_budget_burn() -> Iterator[Case]:
    for rule, hours, limit in (("error_budget_burn_fast", 1, 14.4), ("error_budget_burn_slow", 6, 6.0)):
        whole, recent = hours * 3600.0, hours * 300.0
        beyond = int(limit) + 1  # % of the requests
        yield Case(
            rule=rule, what="burns all the time and still does",
            documents=[*_mix(100, beyond, after=recent + 1, before=whole), *_mix(100, beyond, before=recent)],
            fires={"v1": float(beyond)},
        )  # fmt: skip
        yield Case(
            rule=rule, what="burnt, and is over",
            documents=[*_mix(100, 50, after=recent + 1, before=whole), *_mix(100, 1, before=recent)],
        )  # fmt: skip
        yield Case(
            rule=rule, what="burns only now",
            documents=[*_mix(2000, 0, after=recent + 1, before=whole), *_mix(50, 50, before=recent)],
        )  # fmt: skip
        yield Case(rule=rule, what="9 errors in all", documents=_mix(9, 100, before=recent))
        yield Case(rule=rule, what="burnt, and no request came since", documents=_mix(
            100, 50, after=recent + 1, before=whole
        ))  # fmt: skip


def _build_no_traffic() -> Iterator[Case]:
    rule = "no_traffic"
    yield Case(
        rule=rule, what="one of two services has none for more than 10 minutes",
        documents=[*_send_each_second(100, until=601), *_send_each_second(100, until=10, service="gateway")],
        fires={"scoring": 601.0},
    )  # fmt: skip
    yield Case(rule=rule, what="none for less than 10 minutes", documents=_send_each_second(100, until=599))
    yield Case(rule=rule, what="hardly any all day", documents=_send_each_second(19, until=3600))
    yield Case(rule=rule, what="a usual gap of one that is seldom called", documents=[
        ("events", _make_event(seconds_ago=1100 + 60 * number)) for number in range(100)
    ])  # fmt: skip
    yield Case(
        rule=rule, what="more than a usual gap of one that is seldom called",
        documents=[("events", _make_event(seconds_ago=1300 + 60 * number)) for number in range(100)],
        fires={"scoring": 1300.0},
    )  # fmt: skip


def _build_lost_events() -> Iterator[Case]:
    rule = "lost_events"
    yield Case(rule=rule, what="a hole in the numbers", documents=_number([0, 1, 2, 4, 5]), fires={"scoring,i1": 1.0})
    yield Case(rule=rule, what="none is missing", documents=_number(range(5)))
    yield Case(rule=rule, what="a hole that may still be filled", documents=_number([0, 1, 2, 4, 5], seconds_ago=100))
    yield Case(
        rule=rule, what="the last ones of an instance that is gone",
        documents=[*_number(range(5)), _beat(200, events_written=7)],
        fires={"scoring,i1": 2.0},
    )  # fmt: skip
    yield Case(
        rule=rule, what="the last ones of an instance that is there",
        documents=[*_number(range(5)), _beat(125, events_written=7)],
    )  # fmt: skip
    yield Case(
        rule=rule, what="an instance that is gone and has all",
        documents=[*_number(range(5)), _beat(200, events_written=5)],
    )  # fmt: skip
    yield Case(
        rule=rule, what="the first ones of an instance that began within the window",
        documents=[
            *_number(range(3, 5)), _beat(200, events_written=2, events_dropped=3, started_seconds_ago=400)
        ],
        fires={"scoring,i1": 3.0},
    )  # fmt: skip
    yield Case(
        rule=rule, what="the first ones of an instance that began before the window",
        documents=[*_number(range(3, 5)), _beat(200, events_written=5, started_seconds_ago=4000)],
    )  # fmt: skip
    yield Case(
        rule=rule, what="all of an instance that is there and never wrote one",
        documents=[_beat(125, events_dropped=7, started_seconds_ago=400)],
        fires={"scoring,i1": 7.0},
    )  # fmt: skip
    yield Case(
        rule=rule, what="the last ones of an instance that is there and has dropped two of them",
        documents=[*_number(range(5)), _beat(125, events_written=6, events_dropped=2, started_seconds_ago=400)],
        fires={"scoring,i1": 2.0},
    )  # fmt: skip
    yield Case(
        rule=rule, what="those that an instance has dropped before the window",
        documents=[
            *_number(range(50, 55)),
            *(_beat(ago, events_written=50, events_dropped=5, started_seconds_ago=9000) for ago in (1000, 200)),
        ],
    )  # fmt: skip


def _build_ingest_lag() -> Iterator[Case]:
    rule = "ingest_lag"
    yield Case(rule=rule, what="all arrive late", documents=_send(101, lag_seconds=5.5), fires={"(all)": 5.5})
    yield Case(rule=rule, what="as late as is allowed", documents=_send(101, lag_seconds=5.0))
    yield Case(rule=rule, what="too few", documents=_send(100, lag_seconds=5.5))
    yield Case(rule=rule, what="one of 101 is late", documents=[
        *_send(100, lag_seconds=1.0), *_send(1, lag_seconds=60.0)
    ])  # fmt: skip
    yield Case(rule=rule, what="the time of arrival is not known", documents=_send(200))


def _build_shippers() -> Iterator[Case]:
    rule = "shipper_behind"
    yield Case(rule=rule, what="by more than a minute", documents=[_beat_shipper(5, behind=61.0)], fires={"s1": 61.0})
    yield Case(rule=rule, what="by a minute", documents=[_beat_shipper(5, behind=60.0)])
    yield Case(
        rule=rule, what="has caught up", documents=[_beat_shipper(15, behind=300.0), _beat_shipper(5, behind=0.0)]
    )
    yield Case(
        rule=rule,
        what="was stopped",
        documents=[_beat_shipper(15, behind=300.0), _beat_shipper(5, behind=300.0, message="shipper_stopped")],
    )
    rule = "refused_documents"
    yield Case(
        rule=rule,
        what="of late",
        documents=[_beat_shipper(4000, refused=2), _beat_shipper(5, refused=5)],
        fires={"s1": 3.0},
    )
    yield Case(rule=rule, what="long ago", documents=[_beat_shipper(4000, refused=2), _beat_shipper(5, refused=2)])
    yield Case(
        rule=rule,
        what="by Fluentd",
        documents=[_beat_with_letters(4000, 2), _beat_with_letters(5, 6)],
        fires={"f1": 4.0},
    )
    yield Case(rule=rule, what="by Fluentd long ago", documents=[_beat_with_letters(4000, 2), _beat_with_letters(5, 2)])
    yield Case(rule=rule, what="by one that has just begun", documents=[_beat_shipper(5, refused=2)], fires={"s1": 2.0})
    yield Case(rule=rule, what="nothing", documents=[_beat_shipper(4000), _beat_shipper(5)])


def _build_clock_skew() -> Iterator[Case]:
    rule = "clock_skew"
    yield Case(rule=rule, what="events are ahead", documents=[_beat_shipper(5, skew=5.5)], fires={"s1": 5.5})
    yield Case(rule=rule, what="events are behind", documents=[_beat_shipper(5, skew=-600.0)], fires={"s1": 600.0})
    yield Case(
        rule=rule, what="as far as is allowed", documents=[_beat_shipper(15, skew=-5.0), _beat_shipper(5, skew=5.0)]
    )
    yield Case(
        rule=rule, what="the clock was set right", documents=[_beat_shipper(15, skew=600.0), _beat_shipper(5, skew=0.0)]
    )
    yield Case(
        rule=rule, what="nothing was compared of late", documents=[_beat_shipper(301, skew=600.0), _beat_shipper(5)]
    )
    yield Case(
        rule=rule, what="the shipper was stopped",
        documents=[_beat_shipper(15, skew=600.0), _beat_shipper(5, skew=600.0, message="shipper_stopped")],
    )  # fmt: skip


def _build_fluentd() -> Iterator[Case]:
    rule = "fluentd_buffer_low"
    yield Case(rule=rule, what="less than a fifth is free", documents=[_beat_fluentd(5, free=0.19)], fires={"f1": 0.19})
    yield Case(rule=rule, what="a fifth is free", documents=[_beat_fluentd(5, free=0.2)])
    yield Case(
        rule=rule, what="was full, and has long caught up", documents=[_beat_fluentd(301, free=0.0), _beat_fluentd(5)]
    )


def _build_silent_instance() -> Iterator[Case]:
    rule = "silent_instance"
    yield Case(rule=rule, what="for more than a minute", documents=[_beat(61)], fires={"scoring,i1": 61.0})
    yield Case(rule=rule, what="for less than a minute", documents=[_beat(100), _beat(59)])
    yield Case(
        rule=rule, what="since it was stopped",
        documents=[_beat(110), _beat(100, message="service_stopped")],
    )  # fmt: skip
    yield Case(
        rule=rule, what="after it had paused and gone on",
        documents=[_beat(110, message="service_stopped"), _beat(100)],
        fires={"scoring,i1": 100.0},
    )  # fmt: skip
    yield Case(rule=rule, what="for a long time", documents=[_beat(1801)])


def _build_canary() -> Iterator[Case]:
    rule = "canary_worse"
    stable = [*_send(980), *_fail(20)]
    yield Case(
        rule=rule, what="fails more often", documents=[*stable, *_send(80, "v2"), *_fail(20, "v2")],
        fires={"v2,error rate": 20.0},
    )  # fmt: skip
    yield Case(rule=rule, what="fails as often", documents=[*stable, *_send(98, "v2"), *_fail(2, "v2")])
    yield Case(rule=rule, what="fails more often by chance", documents=[
        *stable, *_send(94, "v2"), *_fail(6, "v2")
    ])  # fmt: skip
    yield Case(rule=rule, what="is hardly asked", documents=[*stable, *_fail(29, "v2")])
    yield Case(rule=rule, what="is not there", documents=stable)
    spread = [0.5, 1.0, 1.5]
    yield Case(
        rule=rule, what="is slower",
        documents=[
            *(each for latency in spread for each in _send(200, latency_seconds=latency)),
            *(each for latency in spread for each in _send(50, "v2", latency_seconds=latency * 1.5)),
        ],
        fires={"v2,mean latency": 1.5},
    )  # fmt: skip
    yield Case(
        rule=rule, what="is slower by less than a tenth",
        documents=[
            *(each for latency in spread for each in _send(2000, latency_seconds=latency)),
            *(each for latency in spread for each in _send(1000, "v2", latency_seconds=latency * 1.09)),
        ],
    )  # fmt: skip


def _make_event(**fields: Any) -> Document:
    return {"service": {"name": "scoring", "instance": {"id": "i1"}}, "status": "success", **fields}


def _send(
    number: int, version: str | None = "v1", *, after: float = 1.0, before: float = 250.0, **fields: Any
) -> list[tuple[str, Document]]:
    """Return *number* requests, spread evenly from *after* seconds ago to *before* that."""
    before = max(before, after)
    named = {} if version is None else {"model_version": version}
    return [
        (
            "events",
            _make_event(seconds_ago=after + (before - after) * place / number, latency_seconds=0.1) | named | fields,
        )
        for place in range(number)
    ]


def _fail(number: int, version: str | None = "v1", **fields: Any) -> list[tuple[str, Document]]:
    return _send(number, version, status="error", **fields)


def _mix(number: int, percent_failing: int, *, after: float = 1.0, before: float) -> list[tuple[str, Document]]:
    failing = number * percent_failing // 100
    return [
        *_fail(failing, after=after, before=before - 1),
        *_send(number - failing, after=after, before=before - 1),
    ]


def _send_each_second(number: int, *, until: float, service: str = "scoring") -> list[tuple[str, Document]]:
    return [
        ("events", _make_event(seconds_ago=until + place, service={"name": service, "instance": {"id": "i1"}}))
        for place in range(number)
    ]


def _number(sequences: Iterable[int], *, seconds_ago: float = 300.0) -> list[tuple[str, Document]]:
    return [
        ("events", _make_event(seconds_ago=seconds_ago - number, event={"sequence": number})) for number in sequences
    ]


def _beat(
    seconds_ago: float,
    *,
    events_written: int = 0,
    events_dropped: int = 0,
    message: str = "service_heartbeat",
    **fields: float,
) -> tuple[str, Document]:
    return (
        "health",
        {
            "seconds_ago": seconds_ago,
            "service": {"name": "scoring", "instance": {"id": "i1"}},
            "message": message,
            "events_written": events_written,
            "events_dropped": events_dropped,
            **fields,
        },
    )


def _beat_shipper(
    seconds_ago: float,
    *,
    behind: float = 0.0,
    refused: int = 0,
    skew: float | None = None,
    message: str = "shipper_heartbeat",
) -> tuple[str, Document]:
    compared = {} if skew is None else {"clock_skew_seconds": skew}
    return (
        "health",
        {
            "seconds_ago": seconds_ago,
            "service": {"name": "shipper", "instance": {"id": "s1"}},
            "message": message,
            "shipper": {"shipped": 1000, "refused": refused, "behind_events": 10, "behind_seconds": behind} | compared,
        },
    )


def _beat_fluentd(seconds_ago: float, *, free: float = 1.0) -> tuple[str, Document]:
    return (
        "health",
        {
            "seconds_ago": seconds_ago,
            "service": {"name": "inferlog-fluentd", "instance": {"id": "f1"}},
            "message": "fluentd_heartbeat",
            "fluentd": {"retry_count": 3, "queue_bytes": 1000, "buffer_free_ratio": free},
        },
    )


def _beat_with_letters(seconds_ago: float, dead_letters: int) -> tuple[str, Document]:
    kind, document = _beat_fluentd(seconds_ago)
    return kind, document | {"fluentd": {"dead_letters": dead_letters}}


def _format_iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
