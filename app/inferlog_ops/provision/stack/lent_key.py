"""A key that is lent for one piece of work: it lies in no file, and ends with the work."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from inferlog_ops.core.cluster import Cluster, translate_errors
from inferlog_ops.provision.stack import roles

_AT_LONGEST = "1d"
"""When Elasticsearch ends a key by itself, whose work was killed."""


@contextmanager
def lent_key(superuser: Cluster, role: str) -> Iterator[Cluster]:
    """
    Give the block the cluster as one sees it who has the rights of *role* and no others.

    Raises:
        OperatorError: If the cluster does not answer.
    """
    rights = roles.rights(role)
    with superuser.client() as client:
        with translate_errors(superuser, f"making a key with the rights of {role}"):
            key = client.security.create_api_key(
                name=role.replace("_", "-"),
                expiration=_AT_LONGEST,
                role_descriptors={role: rights},
                metadata={**roles.stamp(rights), "namespace": superuser.namespace},
            )
        try:
            yield replace(superuser, user_and_password=None, api_key=key["encoded"])
        finally:
            with translate_errors(superuser, f"ending the key {key['name']}"):
                client.security.invalidate_api_key(ids=[key["id"]])
