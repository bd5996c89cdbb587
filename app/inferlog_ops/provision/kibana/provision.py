"""Set-up of a Kibana; objects that inferlog did not create are never overwritten."""

from inferlog_ops.core.progress import ReportProgress, ignore_progress
from inferlog_ops.provision.desired import ProvisionedObject, ensure
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.provision.kibana.capabilities import detect_capabilities
from inferlog_ops.provision.kibana.client import KibanaClient
from inferlog_ops.provision.kibana.plan import build_plan
from inferlog_ops.provision.kibana.readiness import wait_until_ready
from inferlog_ops.provision.kibana.saved_objects import ensure_objects


def provision_kibana(
    kibana: Kibana,
    namespace: str,
    *,
    wait_seconds: float = 120.0,
    on_progress: ReportProgress = ignore_progress,
) -> list[ProvisionedObject]:
    """
    Create data views, dashboards, saved queries, connector and rules in *kibana*; a second run finds all unchanged.

    Can be interrupted, repeated, and run twice at the same time. A rejected object is an outcome with its reason and
    does not affect the others.

    Args:
        kibana: Address, credentials and space.
        namespace: Namespace of the events.
        wait_seconds: Timeout for a Kibana that is still starting.
        on_progress: Receives progress lines, a few seconds apart.

    Raises:
        OperatorError: If a file is invalid, or if Kibana does not answer, is too old or rejects the credentials.
    """
    build_plan(namespace)  # an invalid file is reported before any request
    with KibanaClient(kibana) as client:
        wait_until_ready(client, timeout_seconds=wait_seconds, on_progress=on_progress)
        plan = build_plan(namespace, detect_capabilities(client))
        return [
            *(ensure(client, each) for each in plan.data_views),
            *ensure_objects(client, plan.saved_objects),
            *(ensure(client, each) for each in plan.rules),
        ]
