"""Import of saved Discover sessions into Kibana: one export to read the existing ones, one import of all changes."""

from collections.abc import Sequence
from typing import Any

import orjson

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.core.outcome import ProvisionedObject, ProvisionOutcome
from inferlog_ops.provision.kibana.client import KibanaClient, KibanaResponse
from inferlog_ops.provision.kibana.desired import KibanaRequest, json_request
from inferlog_ops.provision.kibana.identity import digest_in
from inferlog_ops.provision.kibana.sessions import TYPE, Session

KIND = "saved query"

_EXPORT = "/api/saved_objects/_export"
_IMPORT = "/api/saved_objects/_import?overwrite=true"


def provision_sessions(client: KibanaClient, sessions: Sequence[Session]) -> list[ProvisionedObject]:
    """
    Create or update each of *sessions*; a rejected one is an outcome with its reason.

    Raises nothing: the format of a session is not documented, and everything else works without it.
    """
    try:
        return _provision(client, sessions)
    except OperatorError as error:
        return [_refused(session, str(error)) for session in sessions]


def import_request(sessions: Sequence[Session]) -> KibanaRequest:
    """Return the request that creates or replaces *sessions*."""
    lines = b"".join(orjson.dumps(session.document, option=orjson.OPT_APPEND_NEWLINE) for session in sessions)
    return KibanaRequest(method="POST", path=_IMPORT, body=lines, file_name="inferlog-queries.ndjson")


def _provision(client: KibanaClient, sessions: Sequence[Session]) -> list[ProvisionedObject]:
    there = _read_existing(client, [session.id for session in sessions])
    foreign = [session for session in sessions if session.id in there and there[session.id] is None]
    changed = [session for session in sessions if session not in foreign and there.get(session.id) != session.digest]
    failures = _import(client, changed) if changed else {}
    failures |= {
        session.id: f"Kibana has a saved search {session.id} that inferlog did not create; "
        "rename or delete it, then provision again"
        for session in foreign
    }
    return [
        _refused(session, failures[session.id]) if session.id in failures else _accepted(session, there)
        for session in sessions
    ]


def _accepted(session: Session, there: dict[str, str | None]) -> ProvisionedObject:
    if session.id not in there:
        outcome = ProvisionOutcome.CREATED
    else:
        outcome = ProvisionOutcome.UNCHANGED if there[session.id] == session.digest else ProvisionOutcome.UPDATED
    return ProvisionedObject(name=session.id, kind=KIND, outcome=outcome)


def _refused(session: Session, reason: str) -> ProvisionedObject:
    return ProvisionedObject(name=session.id, kind=KIND, outcome=ProvisionOutcome.REFUSED, reason=reason)


def _read_existing(client: KibanaClient, ids: Sequence[str]) -> dict[str, str | None]:
    """Return the digest of each existing session; None for one that inferlog did not create."""
    answer = _export(client, ids)
    if missing := _missing(answer):
        left = [each for each in ids if each not in missing]
        if not left:
            return {}
        answer = _export(client, left)
    if not answer.ok:
        raise OperatorError(f"Kibana rejected the export of saved searches with {answer.status}: {answer.message}")
    documents = [orjson.loads(line) for line in answer.body.splitlines() if line.strip()]
    return {each["id"]: digest_in(each["attributes"].get("description")) for each in documents if "attributes" in each}


def _export(client: KibanaClient, ids: Sequence[str]) -> KibanaResponse:
    objects = [{"type": TYPE, "id": each} for each in ids]
    body = {"objects": objects, "includeReferencesDeep": False, "excludeExportDetails": True}
    return client.send(json_request("POST", _EXPORT, body), "reading the saved queries")


def _missing(answer: KibanaResponse) -> set[str]:
    """Return the ids that Kibana does not have; with one of them it exports nothing."""
    content = answer.json
    if answer.status != 400 or not isinstance(content, dict):
        return set()
    objects: list[dict[str, Any]] = (content.get("attributes") or {}).get("objects") or []
    return {each["id"] for each in objects if (each.get("error") or {}).get("statusCode") == 404}


def _import(client: KibanaClient, sessions: Sequence[Session]) -> dict[str, str]:
    """Import *sessions*; return the reason for each rejected one."""
    answer = client.send(import_request(sessions), "importing the saved queries")
    content = answer.json
    if not answer.ok or not isinstance(content, dict):
        raise OperatorError(f"Kibana rejected the import of saved searches with {answer.status}: {answer.message}")
    failures = {each["id"]: _import_error(each.get("error") or {}) for each in content.get("errors") or []}
    for each in content.get("successResults") or []:
        if each.get("destinationId", each["id"]) != each["id"]:
            failures[each["id"]] = (
                f"another space has a saved search {each['id']}, so Kibana keeps this one as {each['destinationId']}"
            )
    return failures


def _import_error(error: dict[str, Any]) -> str:
    return f"Kibana did not import it: {error.get('message') or error.get('type') or 'no reason given'}"
