"""What a cluster says of itself."""

from elasticsearch import ApiError

from inferlog_ops.cluster import Cluster


def stored_documents(url: str) -> int:
    """Return how many documents the cluster at *url* holds, over all indices."""
    with Cluster(url=url).client() as client:
        answer = client.nodes.stats(metric="indices", index_metric="docs")
        return sum(node["indices"]["docs"]["count"] for node in answer["nodes"].values())


def cluster_version(cluster: Cluster) -> str:
    """Return the version of Elasticsearch that *cluster* runs."""
    with cluster.client() as client:
        try:
            return str(client.info()["version"]["number"])
        except ApiError as error:
            if error.status_code != 405:
                raise
        # The embedded engine has no answer at its root.
        nodes = client.nodes.info(node_id="_local")["nodes"]
        return str(next(iter(nodes.values()))["version"])
