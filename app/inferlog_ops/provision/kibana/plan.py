"""All desired objects of one namespace in Kibana, read from the files before any request."""

from dataclasses import dataclass

from inferlog_ops.core.streams import check_namespace
from inferlog_ops.provision.kibana import connector, dashboards, data_views, rules, sessions
from inferlog_ops.provision.kibana.desired import DesiredObject
from inferlog_ops.provision.kibana.sessions import Session
from inferlog_ops.query.dashboards import files, slo
from inferlog_ops.query.library import load_all as load_queries
from inferlog_ops.query.rules import rules as rule_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    Desired objects of a Kibana.

    Attributes:
        objects: In order of their references: data views before dashboards, both and the connector before rules.
            Dashboards link to each other in cycles, which Kibana allows.
        sessions: The saved queries; only links refer to them.
    """

    objects: tuple[DesiredObject, ...]
    sessions: tuple[Session, ...]


def plan_for(namespace: str) -> Plan:
    """
    Build the plan for *namespace*.

    Raises:
        OperatorError: If a file or *namespace* is invalid.
    """
    check_namespace(namespace)
    levels, queries = slo.load(), load_queries()
    view_files, dashboard_files = data_views.load_all(), files.load_all()
    bases = {*view_files, *dashboard_files, *map(sessions.base_id, queries.values())}
    return Plan(
        objects=(
            *(data_views.build_desired(base, file, namespace) for base, file in view_files.items()),
            *(dashboards.build_desired(each, levels, queries, namespace, bases) for each in dashboard_files.values()),
            connector.build_desired(namespace),
            *(rules.build_desired(each, levels, queries, namespace, bases) for each in rule_files.load_all().values()),
        ),
        sessions=tuple(sessions.build_desired(query, namespace) for query in queries.values()),
    )
