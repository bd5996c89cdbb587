"""One alert: a row that fired, as the commands show it and as it is written down."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from inferlog_ops.query.rules.rules import Rule
from inferlog_ops.query.timerange import iso

ONE_GROUP = "(all)"
"""The group of a rule that does not tell rows apart."""

_MODEL_VERSION = "model_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """
    A rule that fires about one group.

    Attributes:
        rule: The rule.
        group: Values of the columns that name the group.
        value: The figure that is judged; None if it is not a number.
        threshold: What it is held against.
        figures: Values of all columns that the rule tells.
        start: First moment of the range that was asked about.
        end: First moment after it.
        at: When it was evaluated.
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
        """The group in one text, as Kibana names an alert."""
        return ",".join(str(each) for each in self.group.values() if each is not None) or ONE_GROUP

    @property
    def figures_text(self) -> str:
        """The figures in one text."""
        return ", ".join(f"{name} {figure_text(figure)}" for name, figure in self.figures.items())

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain data, for a program and for a webhook."""
        return {
            "rule": self.rule.name,
            "title": self.rule.title,
            "severity": self.rule.severity.value,
            "group": dict(self.group),
            "key": f"{self.rule.name}:{self.group_text}",
            "value": self.value,
            "threshold": self.threshold,
            "figures": dict(self.figures),
            "from": iso(self.start),
            "to": iso(self.end),
            "dashboard": self.rule.dashboard,
        }

    def document(self) -> dict[str, Any]:
        """Return the document to write down, of the same fields as Kibana's connector writes."""
        document = {
            "@timestamp": iso(self.at),
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

    def document_id(self) -> str:
        """Return an id that a second evaluation of the same turn gives again: by rule, group and ``every``."""
        turn = int(self.at.timestamp() // self.rule.every.total_seconds())
        return hashlib.sha256(orjson.dumps([self.rule.name, self.group_text, turn])).hexdigest()[:32]


def figure_text(figure: Any) -> str:
    """Return *figure* for a person: four digits of a fraction, a dash for what is not known, all else as it is."""
    if figure is None:
        return "-"
    return f"{figure:.4g}" if isinstance(figure, float) and abs(figure) < 10_000 else str(figure)
