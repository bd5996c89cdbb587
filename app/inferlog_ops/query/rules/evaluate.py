"""Evaluation of alert rules in Elasticsearch, at any time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.library import Query
from inferlog_ops.query.notes import Note, NoteKind
from inferlog_ops.query.rules.alerts import Alert
from inferlog_ops.query.rules.condition import THRESHOLD, VALUE, build_rule_query
from inferlog_ops.query.rules.rules import Rule
from inferlog_ops.query.run import run_query
from inferlog_ops.query.timerange import format_iso

_TIMEOUT_SECONDS = 60.0
_WRONG_USAGE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleAlerts:
    """
    The alerts of one rule.

    Attributes:
        alerts: The worst alerts, at most 1 000.
        not_listed: Minimum number of further alerts.
        not_counted: Documents that the reader may not read, as a sentence; empty if there are none.
    """

    alerts: list[Alert]
    not_listed: int
    not_counted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """
    Alerts and failures of an evaluation.

    Attributes:
        at: Time of the evaluation.
        namespace: Namespace of the streams.
        rules: Number of rules.
        alerts: Firing alerts in the order of the rules, the worst of each rule first.
        failures: Rules that could not be evaluated: names by reason.
        not_listed: Minimum number of further alerts by rule, for rules with too many.
        not_counted: Documents that the reader may not read, as a sentence by rule.
        future: Note on events that are later than *at*, which no rule evaluates yet; None if there are none.
    """

    at: datetime
    namespace: str
    rules: int
    alerts: list[Alert]
    failures: Mapping[str, list[str]]
    not_listed: Mapping[str, int] = field(default_factory=dict)
    not_counted: Mapping[str, str] = field(default_factory=dict)
    future: Note | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON values, for stdout and webhooks."""
        return {
            "at": format_iso(self.at),
            "namespace": self.namespace,
            "rules": self.rules,
            "firing": [alert.as_json() for alert in self.alerts],
            "not_listed": dict(self.not_listed),
            "not_counted": dict(self.not_counted),
            "not_evaluated": [{"reason": reason, "rules": names} for reason, names in self.failures.items()],
            "notes": [self.future.as_json()] if self.future else [],
        }


def evaluate(
    cluster: Cluster, rules: Sequence[Rule], levels: ServiceLevels, queries: Mapping[str, Query], at: datetime
) -> Evaluation:
    """
    Evaluate *rules* at the time *at*. A rule that fails does not stop the others.

    Raises:
        OperatorError: If the namespace or the time is not valid.
    """
    alerts: list[Alert] = []
    failures: dict[str, list[str]] = {}
    not_listed: dict[str, int] = {}
    not_counted: dict[str, str] = {}
    for number, rule in enumerate(rules):
        try:
            firing = evaluate_rule(cluster, rule, levels, queries, at)
            alerts += firing.alerts
            if firing.not_listed:
                not_listed[rule.name] = firing.not_listed
            if firing.not_counted:
                not_counted[rule.name] = firing.not_counted
        except OperatorError as error:
            if error.exit_code == _WRONG_USAGE:
                raise
            failures.setdefault(str(error), []).append(rule.name)
            if isinstance(error.__cause__, elasticsearch.TransportError):
                # The cluster does not answer: skip the other rules, which would all time out.
                failures[str(error)] += [each.name for each in rules[number + 1 :]]
                break
    return Evaluation(
        at=at,
        namespace=cluster.namespace,
        rules=len(rules),
        alerts=alerts,
        failures=failures,
        not_listed=not_listed,
        not_counted=not_counted,
    )


def evaluate_rule(
    cluster: Cluster, rule: Rule, levels: ServiceLevels, queries: Mapping[str, Query], at: datetime
) -> RuleAlerts:
    """
    Return the alerts of one rule at the time *at*, the worst first.

    Raises:
        OperatorError: If the rule has an unknown reference, or the cluster rejects its query or does not answer.
    """
    end = at - rule.settle
    start = end - rule.window
    query = Query(
        name=f"the rule {rule.name}",
        question=rule.title,
        text=build_rule_query(rule, levels, queries, cluster.namespace),
        takes_model_version=False,
    )
    answer = run_query(cluster, query, start, end, timeout_seconds=_TIMEOUT_SECONDS)
    return RuleAlerts(
        alerts=[_build_alert(rule, row, start, end, at) for row in answer.rows],
        not_listed=sum(note.count for note in answer.notes),
        not_counted=" ".join(note.text for note in answer.notes if note.kind is NoteKind.UNREAD_FAILURE_STORES),
    )


def _build_alert(rule: Rule, row: Mapping[str, Any], start: datetime, end: datetime, at: datetime) -> Alert:
    return Alert(
        rule=rule,
        group={column: row[column] for column in rule.group},
        value=row[VALUE],
        threshold=row[THRESHOLD],
        figures={column: row[column] for column in rule.figures},
        start=start,
        end=end,
        at=at,
    )
