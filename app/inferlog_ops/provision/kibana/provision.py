"""Set-up of a Kibana; objects that inferlog did not create are never overwritten."""

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import ProvisionedObject, ProvisionOutcome
from inferlog_ops.core.progress import ReportProgress, ignore_progress
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.provision.kibana.client import KibanaClient, KibanaResponse
from inferlog_ops.provision.kibana.desired import DesiredObject, KibanaRequest
from inferlog_ops.provision.kibana.plan import plan_for
from inferlog_ops.provision.kibana.readiness import wait_until_ready
from inferlog_ops.provision.kibana.refusal import explain_rejection, is_conflict
from inferlog_ops.provision.kibana.session_import import provision_sessions


def provision_kibana(
    kibana: Kibana,
    namespace: str,
    *,
    wait_seconds: float = 120.0,
    on_progress: ReportProgress = ignore_progress,
) -> list[ProvisionedObject]:
    """
    Create data views, dashboards, connector, rules and saved queries in *kibana*; a second run finds all unchanged.

    Reads everything before the first write, so nothing changes if an id is used by an object that inferlog did not
    create. Can be interrupted and repeated at any time.

    Args:
        kibana: Address, credentials and space.
        namespace: Namespace of the events.
        wait_seconds: Timeout for a Kibana that is still starting.
        on_progress: Receives progress lines, a few seconds apart.

    Raises:
        OperatorError: If a file is invalid, if Kibana does not answer, is too old or rejects an object, or if an id is
            used by an object that inferlog did not create. A rejected saved query is an outcome, not an error.
    """
    plan = plan_for(namespace)
    with KibanaClient(kibana) as client:
        wait_until_ready(client, timeout_seconds=wait_seconds, on_progress=on_progress)
        outcomes = [_compare(client, wanted) for wanted in plan.objects]
        done = [_apply(client, wanted, outcome) for wanted, outcome in zip(plan.objects, outcomes, strict=True)]
        return [*done, *provision_sessions(client, plan.sessions)]


def _compare(client: KibanaClient, wanted: DesiredObject) -> ProvisionOutcome:
    """
    Return the change that *wanted* needs.

    Raises:
        OperatorError: If its id is used by an object that inferlog did not create.
    """
    answer = client.send(KibanaRequest(method="GET", path=wanted.read), f"reading the {wanted.kind} {wanted.id}")
    if answer.status == 404:
        return ProvisionOutcome.CREATED
    if not answer.ok:
        raise OperatorError(f"reading the {wanted.kind} {wanted.id}: Kibana answered {answer.status}: {answer.message}")
    digest = _digest_in(wanted, answer)
    if digest is None:
        raise OperatorError(
            f"Kibana has a {wanted.kind} {wanted.id} that inferlog did not create; nothing was changed: "
            "rename or delete it or give another --namespace, then provision again"
        )
    return ProvisionOutcome.UNCHANGED if digest == wanted.digest else ProvisionOutcome.UPDATED


def _digest_in(wanted: DesiredObject, answer: KibanaResponse) -> str | None:
    try:
        return wanted.digest_in(answer.json)
    except (AttributeError, KeyError, TypeError) as error:
        raise OperatorError(
            f"reading the {wanted.kind} {wanted.id}: unexpected response of Kibana: {answer.message}"
        ) from error


def _apply(client: KibanaClient, wanted: DesiredObject, outcome: ProvisionOutcome) -> ProvisionedObject:
    if outcome is ProvisionOutcome.CREATED:
        outcome = _create(client, wanted)
    elif outcome is ProvisionOutcome.UPDATED:
        _update(client, wanted)
    return ProvisionedObject(name=wanted.id, kind=wanted.kind, outcome=outcome)


def _create(client: KibanaClient, wanted: DesiredObject) -> ProvisionOutcome:
    answer = client.send(wanted.create, f"creating the {wanted.kind} {wanted.id}")
    if answer.ok:
        return ProvisionOutcome.CREATED
    if not is_conflict(answer):
        raise OperatorError(explain_rejection(wanted, answer))
    # The id was free before: another run of this command has taken it, or it is in another space.
    outcome = _compare(client, wanted)
    if outcome is ProvisionOutcome.CREATED:
        raise OperatorError(
            f"{explain_rejection(wanted, answer)}; another space of this Kibana has an object with this id, and ids "
            "are unique over all spaces: give another --namespace, or delete it there"
        )
    if outcome is ProvisionOutcome.UPDATED:
        _update(client, wanted)
    return outcome


def _update(client: KibanaClient, wanted: DesiredObject) -> None:
    for request in wanted.update:
        answer = client.send(request, f"updating the {wanted.kind} {wanted.id}")
        if not answer.ok:
            raise OperatorError(explain_rejection(wanted, answer))
