"""Export of the requests for an empty Kibana to a folder, with a script that sends them with curl."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.desired import Request
from inferlog_ops.provision.kibana.address import DEFAULT_SPACE
from inferlog_ops.provision.kibana.client import encode_body
from inferlog_ops.provision.kibana.plan import Plan
from inferlog_ops.provision.kibana.saved_objects import import_request

SCRIPT = "send.sh"

_OURS = re.compile(r"\d{3}_[A-Z]+_api\..+\.(json|ndjson)")
_HEAD = r"""#!/bin/sh
# Sends the requests in this folder to KIBANA_URL, in the order of their dependencies.
# For a Kibana without these objects: it stops at the first rejected request and prints the reason.
# KIBANA_API_KEY and KIBANA_CA_FILE are the same as for inferlog provision.
set -eu
folder=$(dirname "$0")
: "${KIBANA_URL:?is not set: set it to http(s)://host:port}"
case $KIBANA_URL in *@*)
  echo "KIBANA_URL contains a password that every user of this machine could see: use KIBANA_API_KEY instead" >&2
  exit 2
  ;;
esac

# The key is passed on standard input, because every user of the machine can see arguments.
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
class WrittenRequest:
    """
    A request that was written to a file.

    Attributes:
        request: Method and path, such as ``POST /api/data_views/data_view``.
        file: File with its body.
    """

    request: str
    file: Path


def write_bodies(folder: Path, plan: Plan, space: str = DEFAULT_SPACE) -> list[WrittenRequest]:
    """
    Write a file for each request and the script into *folder*; replace the files of an earlier call.

    Raises:
        OperatorError: If *folder* contains other files, or is not writable.
    """
    prefix = "" if space == DEFAULT_SPACE else f"/s/{space}"
    requests = [
        *((each.create, each.name) for each in plan.data_views),
        (import_request(plan.saved_objects), "objects"),
        *((each.create, each.name) for each in plan.rules),
    ]
    named = [
        (_build_file_name(number, request, name), request) for number, (request, name) in enumerate(requests, start=1)
    ]
    try:
        _clear(folder)
        for file_name, request in named:
            (folder / file_name).write_bytes(encode_body(request) or b"")
        (folder / SCRIPT).write_text(_format_script(named, prefix), encoding="utf-8")
        (folder / SCRIPT).chmod(0o755)
    except OSError as error:
        raise OperatorError(f"{error.filename or folder} cannot be written: {error.strerror}", exit_code=2) from error
    return [
        WrittenRequest(request=f"{request.method} {prefix}{request.path}", file=folder / file_name)
        for file_name, request in named
    ]


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if others := sorted(path.name for path in folder.iterdir() if not _is_ours(path)):
        raise OperatorError(
            f"{folder} contains {others[0]}, which this command did not write; give a new or empty folder", exit_code=2
        )
    for path in folder.iterdir():
        path.unlink()


def _is_ours(path: Path) -> bool:
    if path.name == SCRIPT:
        return path.is_file() and path.read_bytes().startswith(_FIRST_LINES)
    return _OURS.fullmatch(path.name) is not None


def _build_file_name(number: int, request: Request, name: str) -> str:
    path = request.path.partition("?")[0].strip("/").replace("/", ".")
    ending = "json" if request.file_name is None else "ndjson"
    return f"{number:03}_{request.method}_{path}{'' if path.endswith(name) else f'.{name}'}.{ending}"


def _format_script(named: Sequence[tuple[str, Request]], prefix: str) -> str:
    lines = [
        f"body {request.method} '{prefix}{request.path}' '{file_name}'"
        if request.file_name is None
        else f"file {request.method} '{prefix}{request.path}' '{file_name}' '{request.file_name}'"
        for file_name, request in named
    ]
    return _HEAD + "\n".join(lines) + "\n"
