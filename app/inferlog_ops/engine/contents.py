"""Document count and version of a cluster."""

import elasticsearch

from inferlog_ops.core.cluster import Cluster

_TIMEOUT_SECONDS = 5.0


def count_documents(url: str) -> int | None:
    """Return the number of documents in all indices of the cluster at *url*; None if it does not answer."""
    try:
        with Cluster(url=url).build_client(request_timeout_seconds=_TIMEOUT_SECONDS) as client:
            nodes = client.nodes.stats(metric="indices", index_metric="docs")["nodes"]
    except (elasticsearch.ApiError, elasticsearch.TransportError):
        return None
    return sum(int(node["indices"]["docs"]["count"]) for node in nodes.values())


def read_version(cluster: Cluster) -> str:
    with cluster.build_client() as client:
        try:
            return str(client.info()["version"]["number"])
        except elasticsearch.ApiError as error:
            if error.status_code != 405:
                raise
        # The embedded engine has no root endpoint.
        nodes = client.nodes.info(node_id="_local")["nodes"]
        return str(next(iter(nodes.values()))["version"])
