"""Input of users and browsers: names, times, durations, values. Accepted, or rejected with a message."""

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from fastapi import HTTPException
from pydantic import ValidationError

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.durations import parse_duration
from inferlog_ops.core.errors import OperatorError, lookup
from inferlog_ops.core.streams import build_stream_name
from inferlog_ops.preview.control_values import _build_pattern
from inferlog_ops.preview.controls import list_controls
from inferlog_ops.preview.params import SearchParams
from inferlog_ops.provision.elasticsearch.retention import check_retention
from inferlog_ops.provision.kibana.address import resolve_kibana
from inferlog_ops.query import library as queries
from inferlog_ops.query.dashboards import files as dashboards
from inferlog_ops.query.rules import notify, rules
from inferlog_ops.query.run import build_version_filter, check_range
from inferlog_ops.query.timerange import build_time_range, format_iso, parse_moment

LONGEST_BYTES = 300
SEEDS = (
    b"\x00p99_latency",
    b"\x00../../slo",
    b"\x0115m",
    b"\x011h30m",
    b"\x01999999999w",
    b"\x022026-11-23T06:15:00Z",
    b"\x020001-01-01T00:00:00+14:00",
    b"\x0315m\x00\x00\x00",
    b"\x03\x002026-11-23\x002026-11-24",
    b"\x03\x002262-01-01\x009999-12-31T23:59:59-14:00",
    b"\x04default",
    b"\x04a-b",
    b"\x05v3",
    b'\x05v"3',
    b"\x06https://hooks.example/T1",
    b"\x06http://[::1",
    b"\x0730d",
    b"\x08from=2026-11-23T06:00:00Z&to=2026-11-23T07:00:00Z&filter=model_version:v1&search=a",
    b"\x08from=1&to=-1&filter=status:x",
    b"\x09https://user:key@kibana.example:5601/base",
    b"\x09http://[",
    b"\x0a.*[a-z]{2}\\",
)
_NOW = datetime(2026, 11, 23, 6, 15, tzinfo=UTC)
_STREAM = re.compile(r"logs-inference\.events-[a-z0-9][a-z0-9_.]{0,99}")

resources = ExitStack()
_named: Mapping[str, Mapping[str, Any]] = {
    "query": queries.load_all(),
    "rule": rules.load_all(),
    "dashboard": dashboards.load_all(),
}
_controls = list(list_controls(dashboards.find(dashboards.LANDING_PAGE).body))


def check(data: bytes) -> None:
    """Run one input; its first byte selects the kind of text."""
    kind, text = (data or b"\x00")[0], data[1:].decode(errors="surrogateescape")
    with suppress(OperatorError):
        _ASKED[kind % len(_ASKED)](text)


def _check_name(text: str) -> None:
    for kind, things in _named.items():
        with suppress(OperatorError):
            assert lookup(text, things, kind=kind, otherwise="look") is things[text]


def _check_duration(text: str) -> None:
    assert timedelta() < parse_duration(text) <= timedelta.max


def _check_moment(text: str) -> None:
    moment = parse_moment(text, "--from")
    assert parse_moment(format_iso(moment).rjust(27, "0"), "--from") == moment


def _check_range(text: str) -> None:
    last, from_, to = (part or None for part in [*text.split("\x00"), "", "", ""][:3])
    start, end = build_time_range(last=last, from_=from_, to=to, now=_NOW)
    check_range(start, end)
    assert start < end
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", format_iso(start))


def _check_namespace(text: str) -> None:
    assert _STREAM.fullmatch(build_stream_name("events", text))
    assert Cluster(url="http://127.0.0.1:1", namespace=text).namespace == text


def _check_version(text: str) -> None:
    found = build_version_filter(text)
    assert found == {"term": {"model_version": text}} or text == "(none)"


def _check_webhook(text: str) -> None:
    url = notify.parse_webhook_url(text)
    assert url.scheme in {"http", "https"}
    assert notify.redact_url(url).isprintable()


def _check_retention(text: str) -> None:
    assert re.fullmatch(r"[1-9]\d{0,6}[dhms]", check_retention(text, where="--retention"), re.ASCII)


def _check_parameters(text: str) -> None:
    parameters: dict[str, Any] = {
        name: values if name == "filter" else values[-1]
        for name, values in parse_qs(text, keep_blank_values=True, errors="replace").items()
    }
    try:
        asking = SearchParams.model_validate(parameters)
        within = asking.build_filter(_controls)
    except (ValidationError, HTTPException):
        return
    assert parameters.keys() <= {"from", "to", "filter", "search"}
    # Only fields of the dashboard's controls; a value stays one value.
    fields = {control.field for control in _controls}
    values = {value for each in asking.filter for value in each.split(":", 1)}
    for clause in within["bool"]["filter"] if within else []:
        assert set(_list_fields(clause)) <= fields
        assert set(_list_texts(clause)) <= values | {*fields, "field", *(str(field) for field in fields)}
    json.dumps(within)


def _list_fields(clause: Any) -> list[str]:
    if isinstance(clause, list):
        return [field for each in clause for field in _list_fields(each)]
    if not isinstance(clause, dict):
        return []
    return [
        field
        for key, value in clause.items()
        for field in (
            list(value) if key == "terms" else list(value.values()) if key == "exists" else _list_fields(value)
        )
    ]


def _list_texts(clause: Any) -> list[str]:
    if isinstance(clause, str):
        return [clause]
    if isinstance(clause, list):
        return [text for each in clause for text in _list_texts(each)]
    return [text for value in clause.values() for text in _list_texts(value)] if isinstance(clause, dict) else []


def _check_kibana(text: str) -> None:
    kibana = resolve_kibana(text, "default")
    assert kibana.base_url.startswith(("http://", "https://"))
    assert "@" not in kibana.base_url.split("/")[2]


def _check_search(text: str) -> None:
    pattern = _build_pattern(text, "exact")
    plain = re.sub(r"\\(.)|\[(.).\]", lambda match: match[1] or match[2], pattern, flags=re.DOTALL)
    assert plain == "".join(
        each.lower() if each.lower() != each.upper() and len(each.lower()) == len(each.upper()) == 1 else each
        for each in text
    )


_ASKED = (
    _check_name,
    _check_duration,
    _check_moment,
    _check_range,
    _check_namespace,
    _check_version,
    _check_webhook,
    _check_retention,
    _check_parameters,
    _check_kibana,
    _check_search,
)
