"""
Ask a service whatever its OpenAPI document allows, and much that it does not, and hold the answers against it.

    .venv/bin/python -m tests.security.conformity http://127.0.0.1:8000 --examples 1000
    .venv/bin/python -m tests.security.conformity http://127.0.0.1:5602 --examples 1000 --sense-may-be-refused \\
        --known dashboard_id=inferlog-overview --known panel_id=p99 --known control_id=model-version

The suite does so with few examples: test_server_conformity.py, test_preview_conformity.py.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence

import schemathesis
import urllib3
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

_DOCUMENT = "/openapi.json"
_TIMEOUT_SECONDS = 30.0


def operations(url: str, known: Mapping[str, Sequence[object]] | None = None) -> Iterator[schemathesis.APIOperation]:
    """
    Yield what the service at *url* says that it can be asked.

    Args:
        url: Where it answers.
        known: Values of parameters, by name: any others would lead nowhere.
    """
    document = urllib3.request("GET", f"{url}{_DOCUMENT}").json()
    for operation in (each for path in document["paths"].values() for each in path.values()):
        for parameter in operation.get("parameters", []):
            if parameter["name"] in (known or {}):
                parameter["schema"] = {"enum": list((known or {})[parameter["name"]])}
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    for result in schema.get_all_operations():
        yield result.ok()


def check(operation: schemathesis.APIOperation, *, examples: int, sense_is_taken: bool = True) -> int:
    """
    Ask *operation* with requests as they should be and as they should not; return how many were sent.

    Args:
        operation: What is asked.
        examples: Requests of either kind, where there is so much choice.
        sense_is_taken: What fits the document is not refused. Not so where it cannot say what else has to hold.

    Raises:
        Exception: Of schemathesis, with the request as a curl command: an answer with a status, a type or a body that
            the document does not name, 5xx among them; nonsense that was taken; sense that was refused.
    """
    asked = 0
    left_out = [] if sense_is_taken else [positive_data_acceptance]
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
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(timeout=_TIMEOUT_SECONDS, excluded_checks=left_out)

        try:
            ask()
        except Unsatisfiable:
            continue  # without parameters nothing can be wrong
    return asked


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="of a service on this machine")
    parser.add_argument("--examples", type=int, default=1_000, help="of each operation and kind; default: %(default)s")
    parser.add_argument(
        "--known",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a value of a parameter that leads somewhere, for one that others do not; may be repeated",
    )
    parser.add_argument(
        "--sense-may-be-refused",
        action="store_true",
        help="what fits the document may be refused all the same: it cannot say all that has to hold",
    )
    options = parser.parse_args()
    known: dict[str, list[object]] = {}
    for name, _, value in (each.partition("=") for each in options.known):
        known.setdefault(name, []).append(value)
    for each in operations(options.url, known):
        asked = check(each, examples=options.examples, sense_is_taken=not options.sense_may_be_refused)
        sys.stdout.write(f"{each.label}: {asked} requests, nothing was found\n")
