"""
Updates image versions in .env.example and docker-compose.yml to the newest release of the same major version.

Checks with the docker command whether a later version exists, and repeats from there: no list of versions is read.
Prints one line for each update. Needs only the standard library.
"""

import argparse
import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS = (1, 2)  # some releases were never published as an image
NOT_THERE = re.compile("no such manifest|manifest unknown|not found|does not exist", re.IGNORECASE)

Exists = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRule:
    """
    A setting and the allowed steps of its version.

    Attributes:
        images: Images that must all exist in the new version.
        raises: Positions of the numbers that can be raised, from 0, each with the possible numbers after it.
    """

    images: tuple[str, ...]
    raises: dict[int, tuple[tuple[int, ...], ...]]


RULES = {
    "ELASTIC_VERSION": VersionRule(images=("elasticsearch", "kibana"), raises={1: ((0,),), 2: ((),)}),
    # Its images are rebuilt for the same Fluentd: the last two numbers.
    "FLUENTD_VERSION": VersionRule(
        images=("fluent/fluentd",),
        raises={1: ((0, 2, 0), (0, 1, 0)), 2: ((2, 0), (2, 1), (1, 0)), 3: ((0,),), 4: ((),)},
    ),
    # The lock files are for this minor version.
    "PYTHON_VERSION": VersionRule(images=("python",), raises={2: ((),)}),
}


def main() -> int:
    """Update both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of the files to change")
    root: Path = parser.parse_args().root
    file, compose = root / ".env.example", root / "docker-compose.yml"
    text, defaults = file.read_text(), compose.read_text()
    for setting, rule in RULES.items():
        (present,) = re.findall(rf"^{setting}=(.+)$", text, re.MULTILINE)
        if (raised := find_newest(present, rule, exists_as_image)) != present:
            text = text.replace(f"{setting}={present}\n", f"{setting}={raised}\n")
            defaults = defaults.replace(f"${{{setting}:-{present}}}", f"${{{setting}:-{raised}}}")
            print(f"- `{setting}`: {present} → {raised}")
    file.write_text(text)
    compose.write_text(defaults)
    return 0


def find_newest(present: str, rule: VersionRule, exists: Exists) -> str:
    """Return the newest existing version after *present*."""
    for candidate in list_versions_after(present, rule):
        if all(exists(f"{image}:{candidate}") for image in rule.images):
            return find_newest(candidate, rule, exists)
    return present


def list_versions_after(version: str, rule: VersionRule) -> Iterator[str]:
    """Yield possible versions after *version*, largest step first."""
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    for place, endings in rule.raises.items():
        for step, ending in itertools.product(STEPS, endings):
            yield replace_numbers(version, [*numbers[:place], numbers[place] + step, *ending])


def replace_numbers(version: str, numbers: list[int]) -> str:
    given = iter(numbers)
    return re.sub(r"\d+", lambda _: str(next(given)), version)


def exists_as_image(image: str) -> bool:
    """
    Return whether *image* can be pulled.

    Raises:
        SystemExit: If the registry does not answer, which is different from a missing image.
    """
    inspection = subprocess.run(["docker", "manifest", "inspect", image], capture_output=True, text=True, check=False)
    if inspection.returncode == 0:
        return True
    if NOT_THERE.search(inspection.stderr):
        return False
    sys.exit(f"bump_versions: cannot check whether {image} exists: {inspection.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main())
