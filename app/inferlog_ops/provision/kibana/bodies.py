"""Writes the requests that would be sent to an empty Kibana into a folder, with a script that sends them by curl."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.kibana.address import DEFAULT_SPACE
from inferlog_ops.provision.kibana.plan import Plan
from inferlog_ops.provision.kibana.session_import import import_request
from inferlog_ops.provision.kibana.wanted import Request

SCRIPT = "send.sh"

_OURS = re.compile(r"\d{3}_[A-Z]+_api\..+\.(json|ndjson)")
_HEAD = r"""#!/bin/sh
# Sends the requests that lie beside this file to the Kibana KIBANA_URL, in the order in which they need one another.
# For a Kibana that has none of it yet: it ends at the first one that is refused, and says why.
# KIBANA_API_KEY and KIBANA_CA_FILE are as for inferlog provision.
set -eu
folder=$(dirname "$0")
: "${KIBANA_URL:?names no Kibana: set it to http(s)://host:port}"
case $KIBANA_URL in *@*)
  echo "KIBANA_URL holds a password, which every user of this machine would see: use KIBANA_API_KEY instead" >&2
  exit 2
  ;;
esac

# The key goes in by standard input, for arguments are seen by every user of the machine.
credentials() {
  if [ -n "${KIBANA_API_KEY:-}" ]; then printf 'header = "Authorization: ApiKey %s"\n' "$KIBANA_API_KEY"; fi
}

call() {
  method=$1 path=$2
  shift 2
  printf '%s %s\n' "$method" "$path" >&2
  answer=$(credentials | curl --silent --show-error --fail-with-body --config - \
    ${KIBANA_CA_FILE:+--cacert "$KIBANA_CA_FILE"} --request "$method" \
    --header 'kbn-xsrf: true' --header 'Elastic-Api-Version: 2023-10-31' "$@" "${KIBANA_URL%/}$path") || {
    printf '%s\n' "$answer" >&2
    exit 1
  }
}

body() {
  call "$1" "$2" --header 'Content-Type: application/json' --data-binary "@$folder/$3"
}

file() {
  call "$1" "$2" --form "file=@$folder/$3;filename=$4"
}

"""


_FIRST_LINES = "\n".join(_HEAD.splitlines()[:2]).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """
    One request in a file.

    Attributes:
        request: Method and path, such as ``PUT /api/dashboards/inferlog-overview``.
        file: The file of its body.
    """

    request: str
    file: Path


def write_bodies(folder: Path, plan: Plan, space: str = DEFAULT_SPACE) -> list[Written]:
    """
    Write a file for each request into *folder*, and the script; what an earlier call wrote there is replaced.

    Raises:
        OperatorError: If *folder* holds files of another origin, or cannot be written.
    """
    prefix = "" if space == DEFAULT_SPACE else f"/s/{space}"
    requests = [(each.create, each.id) for each in plan.objects] + [(import_request(plan.sessions), "queries")]
    named = [(_file_name(number, request, name), request) for number, (request, name) in enumerate(requests, start=1)]
    try:
        _cleared(folder)
        for file_name, request in named:
            (folder / file_name).write_bytes(request.body or b"")
        (folder / SCRIPT).write_text(_script(named, prefix), encoding="utf-8")
        (folder / SCRIPT).chmod(0o755)
    except OSError as error:
        raise OperatorError(f"{error.filename or folder} cannot be written: {error.strerror}", exit_code=2) from error
    return [
        Written(request=f"{request.method} {prefix}{request.path}", file=folder / file_name)
        for file_name, request in named
    ]


def _cleared(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if others := sorted(path.name for path in folder.iterdir() if not _is_ours(path)):
        raise OperatorError(
            f"{folder} holds {others[0]}, which is not from this command; give a new or empty folder", exit_code=2
        )
    for path in folder.iterdir():
        path.unlink()


def _is_ours(path: Path) -> bool:
    if path.name == SCRIPT:
        return path.is_file() and path.read_bytes().startswith(_FIRST_LINES)
    return _OURS.fullmatch(path.name) is not None


def _file_name(number: int, request: Request, name: str) -> str:
    path = request.path.partition("?")[0].strip("/").replace("/", ".")
    ending = "json" if request.file_name is None else "ndjson"
    return f"{number:03}_{request.method}_{path}{'' if path.endswith(name) else f'.{name}'}.{ending}"


def _script(named: Sequence[tuple[str, Request]], prefix: str) -> str:
    lines = [
        f"body {request.method} '{prefix}{request.path}' '{file_name}'"
        if request.file_name is None
        else f"file {request.method} '{prefix}{request.path}' '{file_name}' '{request.file_name}'"
        for file_name, request in named
    ]
    return _HEAD + "\n".join(lines) + "\n"
