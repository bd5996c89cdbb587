"""Templates, ingest pipeline and data streams in a cluster; safe to repeat."""

from inferlog_ops.provision.desired import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.elasticsearch.provision import provision_cluster

__all__ = ["ProvisionOutcome", "ProvisionedObject", "provision_cluster"]
