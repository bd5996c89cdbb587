"""Desired-state engine for objects in Elasticsearch and Kibana: compares stamps, creates, updates, refuses."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, Self

import orjson

from inferlog_ops.core.errors import OperatorError

MANAGED_BY = "inferlog"

_ATTEMPTS = 3


class ProvisionOutcome(StrEnum):
    """Change made to an object."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    """Used where the other objects work without this one; otherwise provisioning ends with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedObject:
    """
    An object in Elasticsearch or Kibana after provisioning.

    Attributes:
        name: Its name or id there.
        kind: "pipeline", "component template", "index template", "data stream"; "data view", "dashboard", …
        outcome: The change that was made.
        reason: Why it was refused; None otherwise.
    """

    name: str
    kind: str
    outcome: ProvisionOutcome
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """
    Identification of an object of inferlog and of its content.

    Stamps are compared instead of contents, because servers fill in defaults and normalise.

    Attributes:
        source: Origin of the object: its file, relative to the root of the repository.
        sha256: Hash of the content, or its first digits. Empty for a content that has to be replaced.
    """

    source: str
    sha256: str

    @classmethod
    def from_content(cls, source: str, content: Any) -> Self:
        """Return the stamp of the JSON value *content*, independent of key order."""
        return cls(source=source, sha256=hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest())

    @classmethod
    def parse(cls, metadata: Any) -> Self | None:
        """Return the stamp in ``_meta`` or ``metadata``; None for an object that inferlog did not create."""
        if not isinstance(metadata, dict) or metadata.get("managed_by") != MANAGED_BY:
            return None
        return cls(source=metadata.get("source", ""), sha256=metadata.get("sha256", ""))

    def to_json(self) -> dict[str, str]:
        """Return the stamp as ``_meta`` or ``metadata``."""
        return {"managed_by": MANAGED_BY, "source": self.source, "sha256": self.sha256}

    def matches(self, found: "Stamp") -> bool:
        """Return whether an object with the stamp *found* has this content."""
        return found.source == self.source and found.sha256 != "" and self.sha256.startswith(found.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A request to a server.

    Attributes:
        method: "GET", "POST", "PUT".
        path: Path below the address of the server, with parameters.
        body: JSON value; a list of values for a body with one JSON value per line.
        file_name: Send the body as a form file with this name; None = as JSON.
    """

    method: str
    path: str
    body: Any = None
    file_name: str | None = None


class Response(Protocol):
    """Response with any status; errors of connection and login are exceptions of the server."""

    @property
    def status(self) -> int: ...
    @property
    def json(self) -> Any: ...
    @property
    def message(self) -> str: ...


class Server(Protocol):
    """Elasticsearch or Kibana."""

    @property
    def label(self) -> str:
        """Name in messages."""

    def send(self, request: Request, doing: str, /) -> Response:
        """Send *request*; *doing* begins the messages of exceptions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredObject:
    """
    An object that a server is to have.

    Attributes:
        kind: Name of its kind in messages.
        name: Name in messages.
        stamp: Stamp of its content.
        read: Request that returns it, or 404.
        find_stamp: Returns the stamp in the JSON of that response; None if inferlog did not create the object.
        create: Request that creates it.
        update: Returns the requests that update it; the last one writes the stamp. Only called for an update, since
            it can take a request to build them.
        advice: Next step after a rejection, by status.
        way_out: Next step if inferlog did not create the object.
    """

    kind: str
    name: str
    stamp: Stamp
    read: Request
    find_stamp: Callable[[Any], Stamp | None]
    create: Request
    update: Callable[[], Sequence[Request]]
    advice: Mapping[int, str] = field(default_factory=dict)
    way_out: str = "rename or delete it"


def decide(wanted: Stamp, *, exists: bool, found: Stamp | None) -> ProvisionOutcome:
    """Return the change that an object with the stamp *found* needs; REFUSED if inferlog did not create it."""
    if not exists:
        return ProvisionOutcome.CREATED
    if found is None:
        return ProvisionOutcome.REFUSED
    return ProvisionOutcome.UNCHANGED if wanted.matches(found) else ProvisionOutcome.UPDATED


def ensure(server: Server, desired: DesiredObject) -> ProvisionedObject:
    """
    Create or update *desired*; a rejection is an outcome with its reason.

    After a rejected write it is read again, because another run of the command may have been faster.

    Raises:
        OperatorError: If the server sends an unexpected response.
    """
    reason = None
    for _ in range(_ATTEMPTS):
        change, reason = _compare(server, desired)
        if change in {ProvisionOutcome.CREATED, ProvisionOutcome.UPDATED}:
            reason = _apply(server, desired, change)
            if reason is not None:
                continue
        return ProvisionedObject(name=desired.name, kind=desired.kind, outcome=change, reason=reason)
    return ProvisionedObject(name=desired.name, kind=desired.kind, outcome=ProvisionOutcome.REFUSED, reason=reason)


def require(server: Server, desired: DesiredObject) -> ProvisionedObject:
    """
    Create or update *desired*, without which nothing else works.

    Raises:
        OperatorError: If it is rejected, or if the server has an object of that name that inferlog did not create.
    """
    done = ensure(server, desired)
    if done.outcome is ProvisionOutcome.REFUSED:
        raise OperatorError(str(done.reason))
    return done


def explain_foreign(server: Server, kind: str, name: str, way_out: str) -> str:
    return f"{server.label} has a {kind} {name} that inferlog did not create; {way_out}, then provision again"


def _compare(server: Server, desired: DesiredObject) -> tuple[ProvisionOutcome, str | None]:
    """Return the change that *desired* needs, with the reason if it is refused."""
    doing = f"reading the {desired.kind} {desired.name}"
    response = server.send(desired.read, doing)
    exists = response.status != 404
    if exists and not is_success(response):
        reason = f"{doing}: {server.label} answered {response.status}: {response.message}"
        return ProvisionOutcome.REFUSED, reason + _advise(desired, response)
    try:
        found = desired.find_stamp(response.json) if exists else None
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise OperatorError(f"{doing}: unexpected response of {server.label}: {response.message}") from error
    change = decide(desired.stamp, exists=exists, found=found)
    if change is ProvisionOutcome.REFUSED:
        return change, explain_foreign(server, desired.kind, desired.name, desired.way_out)
    return change, None


def _apply(server: Server, desired: DesiredObject, change: ProvisionOutcome) -> str | None:
    """Create or update *desired*; return the reason of a rejection."""
    requests = (desired.create,) if change is ProvisionOutcome.CREATED else desired.update()
    for request in requests:
        response = server.send(request, f"writing the {desired.kind} {desired.name}")
        if not is_success(response):
            return (
                f"{desired.stamp.source}: {server.label} rejected the {desired.kind} {desired.name} "
                f"with {response.status}: {response.message}" + _advise(desired, response)
            )
    return None


def _advise(desired: DesiredObject, response: Response) -> str:
    advice = desired.advice.get(response.status)
    return f"; {advice}" if advice else ""


def is_success(response: Response) -> bool:
    return 200 <= response.status < 300
