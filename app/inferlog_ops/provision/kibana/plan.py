"""All desired objects of one namespace in Kibana."""

from dataclasses import dataclass

from inferlog_ops.core.streams import check_namespace
from inferlog_ops.provision.desired import DesiredObject
from inferlog_ops.provision.kibana import dashboards, data_views, rules, sessions
from inferlog_ops.provision.kibana.capabilities import OF_EVERY_VERSION, Capabilities
from inferlog_ops.provision.kibana.saved_objects import MarkedObject, mark_object
from inferlog_ops.query.dashboards import files, slo
from inferlog_ops.query.library import FOLDER as QUERY_FOLDER
from inferlog_ops.query.library import load_all as load_queries
from inferlog_ops.query.rules import rules as rule_files


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    Desired objects of a Kibana, in order of their references.

    Attributes:
        data_views: Needed by dashboards.
        saved_objects: Dashboards, which link to each other in cycles, and saved queries.
        rules: The connector and the rules, which refer to it and to dashboards.
    """

    data_views: tuple[DesiredObject, ...]
    saved_objects: tuple[MarkedObject, ...]
    rules: tuple[DesiredObject, ...]


def build_plan(namespace: str, capabilities: Capabilities = OF_EVERY_VERSION) -> Plan:
    """
    Read all files and build the plan for *namespace*.

    Raises:
        OperatorError: If a file or *namespace* is invalid.
    """
    check_namespace(namespace)
    levels, queries = slo.load(), load_queries()
    view_files, dashboard_files = data_views.load_all(), files.load_all()
    bases = {*view_files, *dashboard_files, *map(sessions.build_base_id, queries.values())}
    return Plan(
        data_views=tuple(data_views.build_data_view(base, file, namespace) for base, file in view_files.items()),
        saved_objects=(
            *(
                mark_object(
                    dashboards.KIND,
                    f"{files.FOLDER}/{each.path.name}",
                    dashboards.build_dashboard(
                        each,
                        levels,
                        queries,
                        namespace,
                        bases,
                        has_time_parameters=capabilities.has_time_parameters,
                    ),
                )
                for each in dashboard_files.values()
            ),
            *(
                mark_object("saved query", f"{QUERY_FOLDER}/{each.name}.esql", sessions.build_session(each, namespace))
                for each in queries.values()
            ),
        ),
        rules=(
            rules.build_connector(namespace),
            *(
                rules.build_rule(each, levels, queries, namespace, bases, capabilities=capabilities)
                for each in rule_files.load_all().values()
            ),
        ),
    )
