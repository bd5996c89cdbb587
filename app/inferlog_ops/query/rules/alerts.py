"""Alerts: one for each row that fires, as commands print it and as it is written to Elasticsearch."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from inferlog_ops.core.cluster import Cluster, make_unprovisioned_error, require_stream, translate_errors
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.streams import build_alerts_stream_name
from inferlog_ops.query.rules.rules import Rule
from inferlog_ops.query.timerange import format_iso

ONE_GROUP = "(all)"
"""Group of a rule without group columns."""

_MODEL_VERSION = "model_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """
    A rule that fires for one group.

    Attributes:
        rule: The rule.
        group: Values of the columns that name the group.
        value: The judged figure; None if it is not a number.
        threshold: Threshold of *value*.
        figures: Values of the rule's figure columns.
        start: Start of the evaluated range.
        end: End of the range, exclusive.
        at: Time of the evaluation.
    """

    rule: Rule
    group: Mapping[str, Any]
    value: float | None
    threshold: float | None
    figures: Mapping[str, Any]
    start: datetime
    end: datetime
    at: datetime

    @property
    def group_text(self) -> str:
        """The group as one string, as in Kibana's alert ids."""
        return ",".join(str(each) for each in self.group.values() if each is not None) or ONE_GROUP

    @property
    def figures_text(self) -> str:
        """The figures as one string."""
        return ", ".join(f"{name} {format_figure(figure)}" for name, figure in self.figures.items())

    def as_json(self) -> dict[str, Any]:
        """Return the alert as JSON values, for stdout and webhooks."""
        return {
            "rule": self.rule.name,
            "title": self.rule.title,
            "severity": self.rule.severity.value,
            "group": dict(self.group),
            "key": f"{self.rule.name}:{self.group_text}",
            "value": self.value,
            "threshold": self.threshold,
            "figures": dict(self.figures),
            "from": format_iso(self.start),
            "to": format_iso(self.end),
            "dashboard": self.rule.dashboard,
        }

    def to_document(self) -> dict[str, Any]:
        """Return the document for Elasticsearch, with the same fields as Kibana's connector writes."""
        document = {
            "@timestamp": format_iso(self.at),
            "rule": {"id": self.rule.name, "name": self.rule.title},
            "severity": self.rule.severity.value,
            "group": self.group_text,
            "value": self.value,
            "threshold": self.threshold,
            "figures": self.figures_text,
            "window_seconds": int(self.rule.window.total_seconds()),
            "every_seconds": int(self.rule.every.total_seconds()),
            "dashboard": self.rule.dashboard,
            "written_by": "check",
        }
        if _MODEL_VERSION in self.group:
            document[_MODEL_VERSION] = self.group[_MODEL_VERSION]
        return document

    def build_document_id(self) -> str:
        """Return a document id from rule, group and interval: an evaluation within ``every`` gives the same id."""
        turn = int(self.at.timestamp() // self.rule.every.total_seconds())
        return hashlib.sha256(orjson.dumps([self.rule.name, self.group_text, turn])).hexdigest()[:32]


def format_figure(figure: Any) -> str:
    """Return *figure* for display: fractions with four digits, a dash for None, other values unchanged."""
    if figure is None:
        return "-"
    return f"{figure:.4g}" if isinstance(figure, float) and abs(figure) < 10_000 else str(figure)


_ALREADY_THERE = 409


def record(cluster: Cluster, alerts: Sequence[Alert]) -> int:
    """
    Write a document for each of *alerts* and return the number of new ones. Existing documents are not changed.

    Raises:
        OperatorError: If the data stream does not exist, or a document is rejected.
    """
    if not alerts:
        return 0
    stream = build_alerts_stream_name(cluster.namespace)
    operations: list[dict[str, Any]] = []
    for alert in alerts:
        operations += [{"create": {"_id": alert.build_document_id()}}, alert.to_document()]
    with (
        cluster.build_client() as client,
        translate_errors(cluster, f"writing alerts to {stream}"),
        require_stream(cluster, stream),
    ):
        answer = client.bulk(index=stream, operations=operations, refresh=True, require_data_stream=True)
    items = [item["create"] for item in answer["items"]]
    refused = [item for item in items if item["status"] >= 300 and item["status"] != _ALREADY_THERE]
    if any(item["error"]["type"] == "index_not_found_exception" for item in refused):
        raise make_unprovisioned_error(cluster, f"the stream {stream}", "it")
    if refused:
        raise OperatorError(f"writing alerts to {stream}: {len(refused)} rejected: {refused[0]['error']['reason']}")
    return sum(item["status"] < 300 for item in items)
