"""Brings a cluster to where events can be shipped to it and asked about."""

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.core.outcome import Provisioned
from inferlog_ops.core.progress import Say, say_nothing
from inferlog_ops.core.streams import ALERTS, STREAMS, alerts_stream_name, checked_namespace, stream_name
from inferlog_ops.provision.elasticsearch.definitions import INDEX_TEMPLATE, load_definitions, upkeep_in
from inferlog_ops.provision.elasticsearch.objects import ensure_object
from inferlog_ops.provision.elasticsearch.retention import DEFAULT_RETENTION, retention_in
from inferlog_ops.provision.elasticsearch.store import detect_store, wait_until_ready
from inferlog_ops.provision.elasticsearch.streams import ensure_stream


def provision_cluster(
    cluster: Cluster,
    *,
    retention: str | None = None,
    wait_seconds: float = 60.0,
    on_progress: Say = say_nothing,
) -> list[Provisioned]:
    """
    Put templates, pipeline and data streams into *cluster*; a second run finds all of it unchanged.

    Args:
        cluster: Where to, and for which namespace.
        retention: How long data stays there, as Elasticsearch writes it; as it is there, 30 days at first, if not
            given. The embedded engine keeps it for ever.
        wait_seconds: How long a cluster that is still starting is waited for.
        on_progress: Is told what is being waited for, a few seconds apart.

    Raises:
        OperatorError: If the cluster does not answer, refuses an object, or has one of ours by another hand.
    """
    checked_namespace(cluster.namespace)
    with cluster.client() as client, translate_errors(cluster, "provisioning"):
        wait_until_ready(cluster, client, timeout_seconds=wait_seconds, on_progress=on_progress)
        store = detect_store(client)
        definitions = load_definitions(store, retention or retention_in(client) or DEFAULT_RETENTION)
        provisioned = [ensure_object(client, definition) for definition in definitions]
        templates = {each.name: each for each in definitions if each.kind is INDEX_TEMPLATE}
        streams = {stream_name(stream, cluster.namespace): templates[f"inferlog-{stream}"] for stream in STREAMS}
        streams[alerts_stream_name(cluster.namespace)] = templates[ALERTS]
        upkeep = upkeep_in(definitions)
        provisioned += [ensure_stream(client, store, name, template, upkeep) for name, template in streams.items()]
    return provisioned
