"""
Raises the versions of images in .env.example to the newest of the same major version, if there are newer ones.

Asks the docker command whether a version after the present one exists, and again from there: no list of versions is
read. Prints what was raised, a line each; nothing if all are the newest. Needs nothing but the standard library.
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
class Line:
    """
    One setting and how its version may grow.

    Attributes:
        images: All of them have to be there in the new version.
        raises: Which numbers of the version may be raised, the first being 0; and what may stand behind a raised one.
    """

    images: tuple[str, ...]
    raises: dict[int, tuple[tuple[int, ...], ...]]


LINES = {
    "ELASTIC_VERSION": Line(images=("elasticsearch", "kibana"), raises={1: ((0,),), 2: ((),)}),
    # Its images are made anew for the same Fluentd: the last two numbers.
    "FLUENTD_VERSION": Line(
        images=("fluent/fluentd",),
        raises={1: ((0, 2, 0), (0, 1, 0)), 2: ((2, 0), (2, 1), (1, 0)), 3: ((0,),), 4: ((),)},
    ),
    # The lock files are made for this minor version.
    "PYTHON_VERSION": Line(images=("python",), raises={2: ((),)}),
}


def main() -> int:
    """Raise what can be raised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=Path, default=ROOT / ".env.example", help="the file to change")
    file: Path = parser.parse_args().settings
    text = file.read_text()
    for setting, line in LINES.items():
        (present,) = re.findall(rf"^{setting}=(.+)$", text, re.MULTILINE)
        if (raised := newest(present, line, exists_as_image)) != present:
            text = text.replace(f"{setting}={present}\n", f"{setting}={raised}\n")
            print(f"- `{setting}`: {present} → {raised}")
    file.write_text(text)
    return 0


def newest(present: str, line: Line, exists: Exists) -> str:
    """Return the newest version that can be reached from *present*."""
    for candidate in after(present, line):
        if all(exists(f"{image}:{candidate}") for image in line.images):
            return newest(candidate, line, exists)
    return present


def after(version: str, line: Line) -> Iterator[str]:
    """Yield versions that may come after *version*, those that differ most first."""
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    for place, endings in line.raises.items():
        for step, ending in itertools.product(STEPS, endings):
            yield with_numbers(version, [*numbers[:place], numbers[place] + step, *ending])


def with_numbers(version: str, numbers: list[int]) -> str:
    """Return *version* with *numbers* in the places of its own."""
    given = iter(numbers)
    return re.sub(r"\d+", lambda _: str(next(given)), version)


def exists_as_image(image: str) -> bool:
    """
    Return whether *image* can be pulled.

    Raises:
        SystemExit: If nobody knows: an outage is no news of versions.
    """
    asked = subprocess.run(["docker", "manifest", "inspect", image], capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        return True
    if NOT_THERE.search(asked.stderr):
        return False
    sys.exit(f"bump_versions: whether {image} exists cannot be told: {asked.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main())
