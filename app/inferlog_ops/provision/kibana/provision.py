"""Makes a Kibana what the files say, and leaves alone what others made."""

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import Outcome, Provisioned
from inferlog_ops.core.progress import Say, say_nothing
from inferlog_ops.provision.kibana.address import Kibana
from inferlog_ops.provision.kibana.client import Answer, Client
from inferlog_ops.provision.kibana.plan import plan_for
from inferlog_ops.provision.kibana.readiness import wait_until_ready
from inferlog_ops.provision.kibana.refusal import is_conflict, why_refused
from inferlog_ops.provision.kibana.session_import import provision_sessions
from inferlog_ops.provision.kibana.wanted import Request, Wanted


def provision_kibana(
    kibana: Kibana,
    namespace: str,
    *,
    wait_seconds: float = 120.0,
    on_progress: Say = say_nothing,
) -> list[Provisioned]:
    """
    Put data views, dashboards, connector, rules and saved queries into *kibana*; a second run finds all unchanged.

    Everything is looked at before anything is written, so an object of another hand under an id of ours stops it
    with nothing done. Stopped at any moment, it can be run again.

    Args:
        kibana: Where to.
        namespace: Which events the objects are about.
        wait_seconds: How long a Kibana that is still starting is waited for.
        on_progress: Is told what is being waited for, a few seconds apart.

    Raises:
        OperatorError: If a file is wrong, if Kibana does not answer, is none or too old, or refuses an object, or if
            it has one of another hand. A refused saved query is an outcome, no error.
    """
    plan = plan_for(namespace)
    with Client(kibana) as client:
        wait_until_ready(client, timeout_seconds=wait_seconds, on_progress=on_progress)
        outcomes = [_pending(client, wanted) for wanted in plan.objects]
        done = [_carried_out(client, wanted, outcome) for wanted, outcome in zip(plan.objects, outcomes, strict=True)]
        return [*done, *provision_sessions(client, plan.sessions)]


def _pending(client: Client, wanted: Wanted) -> Outcome:
    """
    Return what has to be done about *wanted*.

    Raises:
        OperatorError: If the Kibana has another one's object of that id.
    """
    answer = client.ask(Request(method="GET", path=wanted.read), f"reading the {wanted.kind} {wanted.id}")
    if answer.status == 404:
        return Outcome.CREATED
    if not answer.ok:
        raise OperatorError(f"reading the {wanted.kind} {wanted.id}: Kibana answered {answer.status}: {answer.message}")
    digest = _digest_in(wanted, answer)
    if digest is None:
        raise OperatorError(
            f"the Kibana has a {wanted.kind} {wanted.id} that inferlog did not make; nothing was changed: "
            "rename or delete it or give another --namespace, then provision again"
        )
    return Outcome.UNCHANGED if digest == wanted.digest else Outcome.UPDATED


def _digest_in(wanted: Wanted, answer: Answer) -> str | None:
    try:
        return wanted.digest_in(answer.json)
    except (AttributeError, KeyError, TypeError) as error:
        raise OperatorError(
            f"reading the {wanted.kind} {wanted.id}: Kibana answered with something else: {answer.message}"
        ) from error


def _carried_out(client: Client, wanted: Wanted, outcome: Outcome) -> Provisioned:
    if outcome is Outcome.CREATED:
        outcome = _create(client, wanted)
    elif outcome is Outcome.UPDATED:
        _update(client, wanted)
    return Provisioned(name=wanted.id, kind=wanted.kind, outcome=outcome)


def _create(client: Client, wanted: Wanted) -> Outcome:
    answer = client.ask(wanted.create, f"creating the {wanted.kind} {wanted.id}")
    if answer.ok:
        return Outcome.CREATED
    if not is_conflict(answer):
        raise OperatorError(why_refused(wanted, answer))
    # The id is taken, which it was not when we looked: by another run of this command, or where we cannot see it.
    outcome = _pending(client, wanted)
    if outcome is Outcome.CREATED:
        raise OperatorError(
            f"{why_refused(wanted, answer)}; another space of this Kibana has an object of this id, and ids are unique "
            "over all spaces: give another --namespace, or delete it there"
        )
    if outcome is Outcome.UPDATED:
        _update(client, wanted)
    return outcome


def _update(client: Client, wanted: Wanted) -> None:
    for request in wanted.update:
        answer = client.ask(request, f"updating the {wanted.kind} {wanted.id}")
        if not answer.ok:
            raise OperatorError(why_refused(wanted, answer))
