"""
Finds what keeps the container stack from running well, and says what to do.

Looks only: starts nothing, changes nothing. Needs nothing but the standard library and the docker command.
Exit code 0 = nothing in the way, 1 = something is, 2 = a wrong option.
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
OLDEST_DOCKER = (24, 0)
OLDEST_COMPOSE = (2, 24, 4)  # the first to know every key of docker-compose.yml and infra/compose
NEEDED_MEMORY_BYTES = 4 * 1024**3
NEEDED_MAP_COUNT = 262_144
NEEDED_DISK_BYTES = 6 * 1024**3  # images, and what Elasticsearch keeps free
SKEW_AT_MOST_SECONDS = 5.0
PROJECT = "inferlog"
# Setting, service, and the profile without which the service does not start.
PORTS = (
    ("ELASTICSEARCH_PORT", "elasticsearch", None),
    ("KIBANA_PORT", "kibana", None),
    ("APP_PORTS", "app", None),
    ("CANARY_PORT", "app-canary", "canary"),
    ("TRAFFIC_PORT", "traffic", "traffic"),
)


@dataclass(frozen=True)
class Finding:
    """
    What one look has found.

    Attributes:
        about: What was looked at, in a word or two.
        ok: False = in the way.
        says: What is there and, if it is in the way, what was wanted and what to do.
    """

    about: str
    ok: bool
    says: str


class DockerError(Exception):
    """What the docker command said instead of an answer."""


def main() -> int:
    """Look at everything, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before-up", action="store_true", help="print only what is in the way")
    parser.add_argument("--json", action="store_true", help="print JSON for a program to read")
    options = parser.parse_args()
    findings = list(look(read_settings(ROOT)))
    if options.json:
        print(json.dumps([vars(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            if not (finding.ok and options.before_up):
                show(finding)
    return 0 if all(finding.ok for finding in findings) else 1


def show(finding: Finding) -> None:
    """Print *finding*, in colour on a terminal."""
    mark = "ok  " if finding.ok else "FIX "
    if sys.stdout.isatty():
        mark = f"\033[{32 if finding.ok else 31}m{mark}\033[0m"
    print(f"{mark} {finding.about}: {finding.says}")


def read_settings(root: Path) -> dict[str, str]:
    """Return what .env says, and .env.example where .env does not."""
    settings: dict[str, str] = {}
    for name in (".env.example", ".env"):
        path = root / name
        if path.exists():
            settings |= dict(re.findall(r"^([A-Z_]+)=([^#\n]*?)[ \t]*$", path.read_text(), re.MULTILINE))
    return settings


def look(settings: dict[str, str]) -> Iterator[Finding]:
    """Look at one thing after the other; without Docker there is nothing more to look at."""
    engine = find_docker()
    yield engine
    if not engine.ok:
        return
    yield find_compose()
    yield from looked("memory", find_memory)
    yield from looked("processors", lambda: find_processors(settings))
    yield find_map_count(Path("/proc/sys/vm/max_map_count"))
    yield from looked("disk", find_disk)
    running = running_services()
    yield from find_ports(settings, running)
    yield from looked("volumes", find_leftovers)
    yield from looked("versions", lambda: find_versions(settings))
    yield from looked("clock", lambda: find_skew(settings, running))


def looked(about: str, find: Callable[[], Finding]) -> Iterator[Finding]:
    """Yield what *find* finds; what Docker refuses to tell is said, and is not in the way."""
    try:
        yield find()
    except (DockerError, OSError, ValueError, KeyError) as error:
        yield Finding(about, ok=True, says=f"could not be looked at ({error})")


def find_docker() -> Finding:
    """Find whether an engine answers, and which."""
    if shutil.which("docker") is None:
        return Finding("docker", ok=False, says="there is no docker command; install Docker Engine or Docker Desktop")
    try:
        version = docker("version", "--format", "{{.Server.Version}}")
    except DockerError as error:
        return Finding("docker", ok=False, says=f"no engine answers ({error}); start Docker, or join the group docker")
    return newer_than("docker", version, OLDEST_DOCKER)


def find_compose() -> Finding:
    """Find whether the compose plugin is there, and new enough."""
    try:
        version = docker("compose", "version", "--short")
    except DockerError:
        return Finding("docker compose", ok=False, says="the plugin is missing; install docker-compose-plugin")
    return newer_than("docker compose", version, OLDEST_COMPOSE)


def newer_than(about: str, version: str, oldest: tuple[int, ...]) -> Finding:
    """Find whether *version* is *oldest* or newer."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[: len(oldest)])
    wanted = ".".join(map(str, oldest))
    if numbers >= oldest:
        return Finding(about, ok=True, says=version)
    return Finding(
        about, ok=False, says=f"is {version or 'of no known version'}; {wanted} or newer is needed: update it"
    )


def find_memory() -> Finding:
    """Find how much memory containers can have; on a Mac or Windows less than the machine has."""
    total_bytes = int(docker("info", "--format", "{{.MemTotal}}"))
    says = f"{total_bytes / 1024**3:.1f} GiB for containers"
    if total_bytes >= 0.95 * NEEDED_MEMORY_BYTES:  # a machine sold with 4 GiB shows a little less
        return Finding("memory", ok=True, says=says)
    return Finding("memory", ok=False, says=f"{says}; 4 GiB are needed: give Docker more (Docker Desktop: Resources)")


def find_processors(settings: dict[str, str]) -> Finding:
    """Find containers that may have more processors than there are: Docker refuses to make them."""
    count = int(docker("info", "--format", "{{.NCPU}}"))
    beyond = [name for name, value in settings.items() if name.endswith("_CPUS") and float(value) > count]
    if not beyond:
        return Finding("processors", ok=True, says=f"{count} for containers")
    return Finding(
        "processors",
        ok=False,
        says=f"{count} for containers, and Docker makes none that may have more: "
        f"set {' and '.join(beyond)} in .env to {count} at most",
    )


def find_map_count(path: Path) -> Finding:
    """Find the kernel's limit of memory maps: below it a single node only warns at its start, and fails later."""
    if not path.exists():
        return Finding("vm.max_map_count", ok=True, says="is set by Docker's own machine on this system")
    count = int(path.read_text())
    if count >= NEEDED_MAP_COUNT:
        return Finding("vm.max_map_count", ok=True, says=str(count))
    return Finding(
        "vm.max_map_count",
        ok=False,
        says=f"is {count}, and with many files open Elasticsearch fails below {NEEDED_MAP_COUNT}: "
        "sudo sysctl -w vm.max_map_count=1048576 (and in /etc/sysctl.d, to last)",
    )


def find_disk() -> Finding:
    """Find the room where Docker keeps its volumes; on a Mac or Windows that is in a machine of its own."""
    folder = Path(docker("info", "--format", "{{.DockerRootDir}}"))
    if not folder.exists():
        return Finding("disk", ok=True, says="is in Docker's own machine; Docker Desktop shows its room")
    free_bytes = shutil.disk_usage(folder).free
    says = f"{free_bytes / 1024**3:.1f} GiB free in {folder}"
    if free_bytes >= NEEDED_DISK_BYTES:
        return Finding("disk", ok=True, says=says)
    return Finding(
        "disk",
        ok=False,
        says=f"{says}; 6 GiB are needed, and below 2 Elasticsearch stops writing: make room (docker system prune)",
    )


def running_services() -> set[str]:
    """Return which services of the stack run now."""
    try:
        return set(docker("compose", "--project-directory", str(ROOT), "ps", "--services").split())
    except DockerError:
        return set()


def find_ports(settings: dict[str, str], running: set[str]) -> Iterator[Finding]:
    """Find ports that somebody else has; of the app's range the first is looked at."""
    profiles = os.environ.get("COMPOSE_PROFILES", settings.get("COMPOSE_PROFILES", "")).split(",")
    wanted = [port for port in PORTS if port[2] is None or port[2] in profiles]
    for setting, service, _ in wanted:
        port = settings.get(setting, "").partition("-")[0]
        about = f"port {port}"
        if not port.isdigit():
            yield Finding(setting, ok=False, says=f"is {settings.get(setting)!r} in .env; expected a port")
        elif service in running:
            yield Finding(about, ok=True, says=f"{service} has it")
        elif taken(int(port)):
            yield Finding(about, ok=False, says=f"another program has it; set {setting} in .env to a free one")
        else:
            yield Finding(about, ok=True, says=f"free for {service}")


def taken(port: int) -> bool:
    """Return whether *port* of 127.0.0.1 cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def find_leftovers() -> Finding:
    """Find data whose passwords are gone: Elasticsearch would know others than set-up makes."""
    volumes = set(docker("volume", "ls", "--format", "{{.Name}}").split())
    data, secrets = f"{PROJECT}_elasticsearch-data", f"{PROJECT}_elasticsearch-secrets"
    if data in volumes and secrets not in volumes:
        return Finding(
            "volumes",
            ok=False,
            says=f"{data} is left from a stack whose passwords are gone: "
            f"delete it with its events (docker volume rm {data}), or bring {secrets} back from a backup",
        )
    return Finding("volumes", ok=True, says="data and passwords belong together" if data in volumes else "none yet")


def find_versions(settings: dict[str, str]) -> Finding:
    """Find versions that do not belong together."""
    elastic, major = settings.get("ELASTIC_VERSION", ""), settings.get("ELASTICSEARCH_MAJOR_VERSION", "")
    if elastic.partition(".")[0] != major:
        return Finding(
            "versions",
            ok=False,
            says=f"ELASTIC_VERSION is {elastic} and ELASTICSEARCH_MAJOR_VERSION {major}; make the second "
            f"{elastic.partition('.')[0]} in .env, or Elasticsearch refuses every line that Fluentd sends",
        )
    images = set(
        docker(
            "ps", "--all", "--filter", f"label=com.docker.compose.project={PROJECT}", "--format", "{{.Image}}"
        ).split()
    )
    older = {
        image for image in images if re.match(r"(elasticsearch|kibana):", image) and not image.endswith(f":{elastic}")
    }
    if any(version_of(image) > version_of(elastic) for image in older):
        return Finding(
            "versions",
            ok=False,
            says=f"{', '.join(sorted(older))} ran with this data, and .env asks for the older {elastic}: "
            "Elasticsearch cannot go back; set ELASTIC_VERSION in .env to the newer one",
        )
    return Finding("versions", ok=True, says=f"Elasticsearch and Kibana {elastic}")


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers of a version or of an image's tag."""
    return tuple(int(number) for number in re.findall(r"\d+", text.rpartition(":")[2]))


def find_skew(settings: dict[str, str], running: set[str]) -> Finding:
    """Find whether containers have another time: lag and ranges of time would be wrong by it."""
    if "app" not in running:
        return Finding("clock", ok=True, says="is compared when the app runs")
    try:
        with urlopen(f"http://127.0.0.1:{settings['APP_PORTS'].partition('-')[0]}/healthz", timeout=3) as answer:
            told = answer.headers["Date"]
    except HTTPError as error:
        told = error.headers["Date"]
    except URLError as error:
        raise OSError(f"the app does not answer: {error.reason}") from error
    skew_seconds = abs(parsedate_to_datetime(told).timestamp() - time.time())
    if skew_seconds <= SKEW_AT_MOST_SECONDS:
        return Finding("clock", ok=True, says="containers have the same time")
    return Finding("clock", ok=False, says=f"containers are {skew_seconds:.0f} s off: restart Docker, or set the clock")


def docker(*arguments: str) -> str:
    """
    Return what ``docker`` prints.

    Raises:
        DockerError: If it fails; its last line.
    """
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=30, check=False)
    except subprocess.TimeoutExpired as error:
        raise DockerError("docker does not answer within 30 s") from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise DockerError(lines[-1] if lines else f"docker {arguments[0]} failed")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
