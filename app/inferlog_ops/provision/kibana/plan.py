"""All that should be in a Kibana for one namespace, read from the files before anything is sent."""

from dataclasses import dataclass

from inferlog_ops.core.streams import checked_namespace
from inferlog_ops.provision.kibana import connector, dashboards, data_views, rules, sessions
from inferlog_ops.provision.kibana.sessions import Session
from inferlog_ops.provision.kibana.wanted import Wanted
from inferlog_ops.query.dashboards import files, slo
from inferlog_ops.query.library import load_all as load_queries
from inferlog_ops.query.rules import rules as rule_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What there should be.

    Attributes:
        objects: In an order in which each finds what it refers to: data views before dashboards, these and the
            connector before rules. Dashboards link to one another in circles, which Kibana allows.
        sessions: The saved queries; nothing refers to them but links.
    """

    objects: tuple[Wanted, ...]
    sessions: tuple[Session, ...]


def plan_for(namespace: str) -> Plan:
    """
    Return the plan for *namespace*.

    Raises:
        OperatorError: If a file is wrong, or *namespace* could not be a part of a stream's name.
    """
    checked_namespace(namespace)
    levels, queries = slo.load(), load_queries()
    view_files, dashboard_files = data_views.load_all(), files.load_all()
    bases = {*view_files, *dashboard_files, *map(sessions.base_id, queries.values())}
    return Plan(
        objects=(
            *(data_views.wanted(base, file, namespace) for base, file in view_files.items()),
            *(dashboards.wanted(each, levels, queries, namespace, bases) for each in dashboard_files.values()),
            connector.wanted(namespace),
            *(rules.wanted(each, levels, queries, namespace, bases) for each in rule_files.load_all().values()),
        ),
        sessions=tuple(sessions.wanted(query, namespace) for query in queries.values()),
    )
