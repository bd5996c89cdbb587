"""Which Kibana a command talks to, and what it shows to be let in."""

import os
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from inferlog_ops.core.errors import OperatorError

DEFAULT_SPACE = "default"

_SPACE = re.compile(r"[a-z0-9_-]{1,250}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kibana:
    """
    A Kibana and what it wants to see before it answers.

    Attributes:
        base_url: ``http(s)://host:port`` with the base path, if it has one; no password in it, so it can be shown.
        user_and_password: As they stood in the address.
        api_key: The ``encoded`` form, as Elasticsearch hands it out.
        ca_file: PEM file of the authority that signed its certificate; the system's authorities if absent.
        space: Where the objects go.
    """

    base_url: str
    user_and_password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    space: str = DEFAULT_SPACE


def kibana_from(url: str, space: str) -> Kibana:
    """
    Put together *url* with the credentials from the environment.

    Raises:
        OperatorError: If *url* is no address, *space* no space's id, or there are two kinds of credentials.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        # Its text would repeat what stands in the place of the host, which may be a password.
        raise OperatorError("the Kibana is no address; expected http(s)://host:port", exit_code=2) from None
    user, at, host = parts.netloc.rpartition("@")
    base_url = f"{parts.scheme}://{host}{parts.path}".rstrip("/")
    if parts.scheme not in {"http", "https"} or not host:
        raise OperatorError(f"the Kibana is {base_url!r}; expected http(s)://host:port", exit_code=2)
    api_key = os.environ.get("KIBANA_API_KEY") or None
    if api_key and at:
        raise OperatorError(
            f"the address of {base_url} holds a user, and KIBANA_API_KEY is set; give one of them", exit_code=2
        )
    return Kibana(
        base_url=base_url,
        user_and_password=unquote(user) if at else None,
        api_key=api_key,
        ca_file=os.environ.get("KIBANA_CA_FILE") or None,
        space=checked_space(space),
    )


def checked_space(space: str) -> str:
    """
    Return *space* as it is, for it becomes a part of each address.

    Raises:
        OperatorError: If Kibana could not have a space of that id.
    """
    if not _SPACE.fullmatch(space):
        raise OperatorError(f"the space is {space!r}; expected its id: a-z, 0-9, _ and -", exit_code=2)
    return space
