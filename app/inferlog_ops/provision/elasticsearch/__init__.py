"""Puts templates, pipeline and data streams into a cluster; safe to repeat."""

from inferlog_ops.core.outcome import Outcome, Provisioned
from inferlog_ops.provision.elasticsearch.provision import provision_cluster

__all__ = ["Outcome", "Provisioned", "provision_cluster"]
