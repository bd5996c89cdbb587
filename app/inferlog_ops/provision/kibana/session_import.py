"""Brings saved Discover sessions into Kibana, by export (to see what is there) and import: all of them at a time."""

from collections.abc import Sequence
from typing import Any

import orjson

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import Outcome, Provisioned
from inferlog_ops.provision.kibana.client import Answer, Client
from inferlog_ops.provision.kibana.mark import digest_in
from inferlog_ops.provision.kibana.sessions import TYPE, Session
from inferlog_ops.provision.kibana.wanted import Request, json_request

KIND = "saved query"

_EXPORT = "/api/saved_objects/_export"
_IMPORT = "/api/saved_objects/_import?overwrite=true"


def provision_sessions(client: Client, sessions: Sequence[Session]) -> list[Provisioned]:
    """
    Make each of *sessions* what it should be; one that Kibana does not take is told of, with the reason.

    Nothing is raised: the shape of a session is not documented, and all the rest is of use without it.
    """
    try:
        return _provision(client, sessions)
    except OperatorError as error:
        return [_refused(session, str(error)) for session in sessions]


def import_request(sessions: Sequence[Session]) -> Request:
    """Return the call that creates or replaces *sessions*."""
    lines = b"".join(orjson.dumps(session.document, option=orjson.OPT_APPEND_NEWLINE) for session in sessions)
    return Request(method="POST", path=_IMPORT, body=lines, file_name="inferlog-queries.ndjson")


def _provision(client: Client, sessions: Sequence[Session]) -> list[Provisioned]:
    there = _there(client, [session.id for session in sessions])
    foreign = [session for session in sessions if session.id in there and there[session.id] is None]
    changed = [session for session in sessions if session not in foreign and there.get(session.id) != session.digest]
    failures = _import(client, changed) if changed else {}
    failures |= {
        session.id: f"the Kibana has a saved search {session.id} that inferlog did not make; "
        "rename or delete it, then provision again"
        for session in foreign
    }
    return [
        _refused(session, failures[session.id]) if session.id in failures else _done(session, there)
        for session in sessions
    ]


def _done(session: Session, there: dict[str, str | None]) -> Provisioned:
    if session.id not in there:
        outcome = Outcome.CREATED
    else:
        outcome = Outcome.UNCHANGED if there[session.id] == session.digest else Outcome.UPDATED
    return Provisioned(name=session.id, kind=KIND, outcome=outcome)


def _refused(session: Session, reason: str) -> Provisioned:
    return Provisioned(name=session.id, kind=KIND, outcome=Outcome.REFUSED, reason=reason)


def _there(client: Client, ids: Sequence[str]) -> dict[str, str | None]:
    """Return the digest of each session that exists, None for one that is not ours."""
    answer = _export(client, ids)
    if missing := _missing(answer):
        left = [each for each in ids if each not in missing]
        if not left:
            return {}
        answer = _export(client, left)
    if not answer.ok:
        raise OperatorError(f"Kibana refused to export saved searches with {answer.status}: {answer.message}")
    documents = [orjson.loads(line) for line in answer.body.splitlines() if line.strip()]
    return {each["id"]: digest_in(each["attributes"].get("description")) for each in documents if "attributes" in each}


def _export(client: Client, ids: Sequence[str]) -> Answer:
    objects = [{"type": TYPE, "id": each} for each in ids]
    body = {"objects": objects, "includeReferencesDeep": False, "excludeExportDetails": True}
    return client.ask(json_request("POST", _EXPORT, body), "reading the saved queries")


def _missing(answer: Answer) -> set[str]:
    """Return the ids that Kibana does not have; it then exports none at all."""
    content = answer.json
    if answer.status != 400 or not isinstance(content, dict):
        return set()
    objects: list[dict[str, Any]] = (content.get("attributes") or {}).get("objects") or []
    return {each["id"] for each in objects if (each.get("error") or {}).get("statusCode") == 404}


def _import(client: Client, sessions: Sequence[Session]) -> dict[str, str]:
    """Import *sessions*; return the reason for each that Kibana did not take."""
    answer = client.ask(import_request(sessions), "importing the saved queries")
    content = answer.json
    if not answer.ok or not isinstance(content, dict):
        raise OperatorError(f"Kibana refused the import of saved searches with {answer.status}: {answer.message}")
    failures = {each["id"]: _words(each.get("error") or {}) for each in content.get("errors") or []}
    for each in content.get("successResults") or []:
        if each.get("destinationId", each["id"]) != each["id"]:
            failures[each["id"]] = (
                f"another space has a saved search {each['id']}, so Kibana keeps this one as {each['destinationId']}"
            )
    return failures


def _words(error: dict[str, Any]) -> str:
    return f"Kibana did not import it: {error.get('message') or error.get('type') or 'no reason given'}"
