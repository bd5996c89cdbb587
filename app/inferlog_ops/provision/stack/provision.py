"""Set-up 2 of 3: all objects in Elasticsearch, before the first write. Safe to repeat."""

from inferlog_ops.core.cluster import translate_errors
from inferlog_ops.core.progress import ReportProgress, ignore_progress
from inferlog_ops.provision.desired import ProvisionedObject
from inferlog_ops.provision.elasticsearch import provision_cluster
from inferlog_ops.provision.stack import api_keys, roles, secret_files, users
from inferlog_ops.provision.stack.login import log_in
from inferlog_ops.provision.stack.settings import StackSettings


def provision(settings: StackSettings, *, on_progress: ReportProgress = ignore_progress) -> list[ProvisionedObject]:
    """
    Create templates, data streams, roles, users and API keys in Elasticsearch; a second run finds all unchanged.

    Args:
        settings: Address of Elasticsearch and folder of the secrets.
        on_progress: Receives progress lines.

    Raises:
        OperatorError: If Elasticsearch does not answer or rejects a request, or a secret is missing.
    """
    cluster = log_in(settings, on_progress).cluster
    done = provision_cluster(
        cluster,
        retention=settings.retention,
        summaries_retention=settings.summaries_retention,
        wait_seconds=settings.wait_seconds,
        on_progress=on_progress,
    )
    with cluster.build_client() as client, translate_errors(cluster, "setting up roles, users and keys"):
        done += [
            roles.ensure_role(client, name) for name in (roles.FLUENTD, roles.DASHBOARDS, roles.RULES, roles.OPERATOR)
        ]
        password = secret_files.read(settings.kibana_system_password)
        done.append(users.ensure_password(client, cluster, users.KIBANA_SYSTEM, password))
        password = secret_files.read(settings.operator_password)
        done.append(users.ensure_user(client, cluster, users.OPERATOR, password, roles.OPERATOR))
        # Last, so that a program with a key finds all its streams.
        done += [
            api_keys.ensure_key(client, cluster, wanted)
            for wanted in (
                api_keys.define_fluentd_key(settings),
                api_keys.define_dashboards_key(settings),
                api_keys.define_summarize_key(settings),
            )
        ]
    return done
