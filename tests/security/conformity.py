"""
Conformity test of a service with its OpenAPI document, with valid and invalid requests.

    .venv/bin/python -m tests.security.conformity http://127.0.0.1:8000 --examples 1000
    .venv/bin/python -m tests.security.conformity http://127.0.0.1:5602 --examples 1000 --sense-may-be-refused \\
        --known dashboard_id=inferlog-overview --known panel_id=p99 --known control_id=model-version

The suite runs it with few examples: test_server_conformity.py, test_preview_conformity.py.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import schemathesis
import urllib3
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

_DOCUMENT = "/openapi.json"
_TIMEOUT_SECONDS = 30.0


def find_operations(
    url: str, known: Mapping[str, Sequence[object]] | None = None
) -> Iterator[schemathesis.APIOperation[Any, Any, Any, Any]]:
    """
    Yield the operations in the OpenAPI document of the service at *url*.

    Args:
        url: Address of the service.
        known: Existing values of parameters, by name.
    """
    document = urllib3.request("GET", f"{url}{_DOCUMENT}").json()
    for operation in (each for path in document["paths"].values() for each in path.values()):
        for parameter in operation.get("parameters", []):
            if parameter["name"] in (known or {}):
                parameter["schema"] = {"enum": list((known or {})[parameter["name"]])}
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        yield result.ok()


def check(
    operation: schemathesis.APIOperation[Any, Any, Any, Any], *, examples: int, sense_is_taken: bool = True
) -> int:
    """
    Send valid and invalid requests to *operation*; return their number.

    Args:
        operation: Operation to test.
        examples: Maximum number of requests of either kind.
        sense_is_taken: Whether every request that fits the document must be accepted.

    Raises:
        Exception: Of schemathesis, with the request as a curl command: an undocumented status (such as 5xx), type or
            body; an invalid request that was accepted; a valid one that was rejected.
    """
    asked = 0
    left_out: list[Any] = [] if sense_is_taken else [positive_data_acceptance]
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @seed(1)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case[Any]) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(timeout=_TIMEOUT_SECONDS, excluded_checks=left_out)

        try:
            ask()
        except Unsatisfiable:
            continue  # without parameters no request is invalid
    return asked


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="address of a service on this machine")
    parser.add_argument(
        "--examples", type=int, default=1_000, help="requests per operation and kind; default: %(default)s"
    )
    parser.add_argument(
        "--known",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="existing value of a path parameter, as name=value; repeatable",
    )
    parser.add_argument(
        "--sense-may-be-refused",
        action="store_true",
        help="allow rejections of requests that fit the document",
    )
    options = parser.parse_args()
    known: dict[str, list[object]] = {}
    for name, _, value in (each.partition("=") for each in options.known):
        known.setdefault(name, []).append(value)
    for each in find_operations(options.url, known):
        asked = check(each, examples=options.examples, sense_is_taken=not options.sense_may_be_refused)
        sys.stdout.write(f"{each.label}: {asked} requests, nothing was found\n")
