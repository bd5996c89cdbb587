"""What a cluster says of itself."""

import elasticsearch

from inferlog_ops.core.cluster import Cluster

_TIMEOUT_SECONDS = 5.0


def stored_documents(url: str) -> int | None:
    """Return how many documents the cluster at *url* holds, over all indices; None if it does not say."""
    try:
        with Cluster(url=url).client(request_timeout_seconds=_TIMEOUT_SECONDS) as client:
            nodes = client.nodes.stats(metric="indices", index_metric="docs")["nodes"]
    except (elasticsearch.ApiError, elasticsearch.TransportError):
        return None
    return sum(int(node["indices"]["docs"]["count"]) for node in nodes.values())


def cluster_version(cluster: Cluster) -> str:
    """Return the version of Elasticsearch that *cluster* runs."""
    with cluster.client() as client:
        try:
            return str(client.info()["version"]["number"])
        except elasticsearch.ApiError as error:
            if error.status_code != 405:
                raise
        # The embedded engine does not answer at its root.
        nodes = client.nodes.info(node_id="_local")["nodes"]
        return str(next(iter(nodes.values()))["version"])
