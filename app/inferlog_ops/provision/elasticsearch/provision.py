"""Set-up of a cluster, so that events can be shipped to it and queried."""

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.progress import ReportProgress, ignore_progress
from inferlog_ops.core.streams import (
    ALERTS,
    STREAMS,
    SUMMARIES,
    build_alerts_stream_name,
    build_stream_name,
    build_summaries_stream_name,
    check_namespace,
)
from inferlog_ops.provision.desired import ProvisionedObject, require
from inferlog_ops.provision.elasticsearch.definitions import INDEX_TEMPLATE, find_lifecycle, load_definitions
from inferlog_ops.provision.elasticsearch.retention import (
    DEFAULT_RETENTION,
    DEFAULT_SUMMARIES_RETENTION,
    EVENTS_TEMPLATE,
    SUMMARIES_TEMPLATE,
    read_retention,
)
from inferlog_ops.provision.elasticsearch.server import ElasticsearchServer, detect_deployment, wait_until_ready
from inferlog_ops.provision.elasticsearch.streams import ensure_stream


def provision_cluster(
    cluster: Cluster,
    *,
    retention: str | None = None,
    summaries_retention: str | None = None,
    wait_seconds: float = 60.0,
    on_progress: ReportProgress = ignore_progress,
) -> list[ProvisionedObject]:
    """
    Create templates, pipeline and data streams in *cluster*; a second run finds all of them unchanged.

    Args:
        cluster: Cluster and namespace.
        retention: Lifetime of data in the notation of Elasticsearch. None keeps the current value, at first 30 days.
            The embedded engine keeps data forever.
        summaries_retention: Lifetime of summaries. None keeps the current value, at first 400 days.
        wait_seconds: Timeout for a cluster that is still starting.
        on_progress: Receives progress lines, a few seconds apart.

    Raises:
        OperatorError: If the cluster does not answer, rejects an object, or has an object of that name that inferlog
            did not create.
    """
    check_namespace(cluster.namespace)
    with cluster.build_client() as client, translate_errors(cluster, "provisioning"):
        wait_until_ready(cluster, client, timeout_seconds=wait_seconds, on_progress=on_progress)
        deployment = detect_deployment(client)
        definitions = load_definitions(
            deployment,
            retention or read_retention(client, EVENTS_TEMPLATE) or DEFAULT_RETENTION,
            summaries_retention or read_retention(client, SUMMARIES_TEMPLATE) or DEFAULT_SUMMARIES_RETENTION,
        )
        server = ElasticsearchServer(client)
        provisioned = [require(server, definition.to_desired()) for definition in definitions]
        templates = {each.name: each for each in definitions if each.kind is INDEX_TEMPLATE}
        streams = {build_stream_name(stream, cluster.namespace): templates[f"inferlog-{stream}"] for stream in STREAMS}
        streams[build_alerts_stream_name(cluster.namespace)] = templates[ALERTS]
        streams[build_summaries_stream_name(cluster.namespace)] = templates[SUMMARIES]
        provisioned += [
            ensure_stream(server, deployment, name, template, find_lifecycle(definitions, template))
            for name, template in streams.items()
        ]
    return provisioned
