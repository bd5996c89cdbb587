"""Evaluates rules on Elasticsearch, at any moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import elasticsearch

from inferlog_ops.core.cluster import Cluster
from inferlog_ops.core.errors import OperatorError
from inferlog_ops.query.dashboards.slo import ServiceLevels
from inferlog_ops.query.library import Query
from inferlog_ops.query.rules.alert import Alert
from inferlog_ops.query.rules.condition import THRESHOLD, VALUE, text_of
from inferlog_ops.query.rules.rules import Rule
from inferlog_ops.query.run import ask
from inferlog_ops.query.timerange import iso

_TIMEOUT_SECONDS = 60.0
_WRONG_USAGE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """
    The alerts of one rule.

    Attributes:
        alerts: The worst, up to a thousand.
        not_listed: How many more there are, at least.
    """

    alerts: list[Alert]
    not_listed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """
    What came of the rules.

    Attributes:
        at: For which moment.
        namespace: Of which streams.
        rules: How many were asked.
        alerts: Those that fire, in the order of the rules, the worst of each first.
        failures: Why rules could not be evaluated: reason, then their names.
        not_listed: How many more alerts of a rule fire than `alerts` holds, at least: of those with too many.
    """

    at: datetime
    namespace: str
    rules: int
    alerts: list[Alert]
    failures: Mapping[str, list[str]]
    not_listed: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain data, for a program and for a webhook."""
        return {
            "at": iso(self.at),
            "namespace": self.namespace,
            "rules": self.rules,
            "firing": [alert.as_json() for alert in self.alerts],
            "not_listed": dict(self.not_listed),
            "not_evaluated": [{"reason": reason, "rules": names} for reason, names in self.failures.items()],
        }


def evaluate(
    cluster: Cluster, rules: Sequence[Rule], levels: ServiceLevels, queries: Mapping[str, Query], at: datetime
) -> Evaluation:
    """
    Evaluate *rules* as if it were *at*. A rule that cannot be evaluated does not keep the others from it.

    Raises:
        OperatorError: If the namespace or the moment is none.
    """
    alerts: list[Alert] = []
    failures: dict[str, list[str]] = {}
    not_listed: dict[str, int] = {}
    for number, rule in enumerate(rules):
        try:
            firing = firing_of(cluster, rule, levels, queries, at)
            alerts += firing.alerts
            if firing.not_listed:
                not_listed[rule.name] = firing.not_listed
        except OperatorError as error:
            if error.exit_code == _WRONG_USAGE:
                raise
            failures.setdefault(str(error), []).append(rule.name)
            if isinstance(error.__cause__, elasticsearch.TransportError):
                # The others would wait for the cluster in vain, one after the other.
                failures[str(error)] += [each.name for each in rules[number + 1 :]]
                break
    return Evaluation(
        at=at,
        namespace=cluster.namespace,
        rules=len(rules),
        alerts=alerts,
        failures=failures,
        not_listed=not_listed,
    )


def firing_of(
    cluster: Cluster, rule: Rule, levels: ServiceLevels, queries: Mapping[str, Query], at: datetime
) -> Firing:
    """
    Return the alerts of one rule as if it were *at*, the worst first.

    Raises:
        OperatorError: If the rule names what is not there, or the cluster refuses its query or does not answer.
    """
    end = at - rule.settle
    start = end - rule.window
    query = Query(
        name=f"the rule {rule.name}",
        question=rule.title,
        text=text_of(rule, levels, queries, cluster.namespace),
        takes_model_version=False,
    )
    answer = ask(cluster, query, start, end, timeout_seconds=_TIMEOUT_SECONDS)
    return Firing(
        alerts=[_alert(rule, row, start, end, at) for row in answer.rows],
        not_listed=sum(note.count for note in answer.notes),
    )


def _alert(rule: Rule, row: Mapping[str, Any], start: datetime, end: datetime, at: datetime) -> Alert:
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
