"""
Checks this machine for the container stack and prints a fix for each problem.

Read-only: starts nothing, changes nothing. Needs only the standard library and the docker command.
Exit code 0 = no problem, 1 = a problem, 2 = a wrong option.
"""

import argparse
import fcntl
import json
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
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
OLDEST_DOCKER = (20, 10, 24)  # the oldest on which the stack has run
OLDEST_COMPOSE = (2, 20, 0)
NEEDED_MEMORY_BYTES = 4 * 1024**3
NEEDED_MAP_COUNT = 262_144
NEEDED_DISK_BYTES = 6 * 1024**3  # images, and what Elasticsearch keeps free
SKEW_AT_MOST_SECONDS = 5.0
CAN_RAISE_LIMITS = 1 << 24  # the capability CAP_SYS_RESOURCE
ENGINE_PID_FILE = Path("/var/run/docker.pid")
# The setting of each service's port.
PORTS = {
    "elasticsearch": "ELASTICSEARCH_PORT",
    "kibana": "KIBANA_PORT",
    "app": "APP_PORTS",
    "app-canary": "CANARY_PORT",
    "traffic": "TRAFFIC_PORT",
}
# The setting of each service's processors.
PROCESSORS = {
    "elasticsearch": "ELASTICSEARCH_CPUS",
    "kibana": "KIBANA_CPUS",
    "fluentd": "FLUENTD_CPUS",
    "app": "APP_CPUS",
}


@dataclass(frozen=True)
class Finding:
    """
    Result of one check.

    Attributes:
        about: Subject, in a word or two.
        ok: False = a problem.
        detail: The current state and, for a problem, the required state and the fix.
    """

    about: str
    ok: bool
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return the finding with the keys of --json."""
        return {"about": self.about, "ok": self.ok, "says": self.detail}


class DockerError(Exception):
    """Error message of the docker command."""


@dataclass(frozen=True)
class Stack:
    """
    The stack as Docker Compose reads it: docker-compose.yml with the settings of .env and of the shell.

    Attributes:
        name: Name of the project, and prefix of its volumes.
        services: Configuration of each service that starts.
    """

    name: str
    services: dict[str, Any]

    @property
    def version(self) -> str:
        """Version of Elasticsearch and Kibana."""
        return str(self.services["elasticsearch"]["image"]).rpartition(":")[2]

    def list_ports(self) -> Iterator[tuple[str, int]]:
        """Yield each service with its port on this machine; the first one of a range."""
        for service in PORTS.keys() & self.services.keys():
            for port in self.services[service].get("ports", []):
                yield service, int(str(port["published"]).partition("-")[0])


def main() -> int:
    """Run all checks, print the findings, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before-up", action="store_true", help="print only problems")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--lock", type=int, metavar="DESCRIPTOR", help="first wait for the lock on this open file")
    options = parser.parse_args()
    if options.lock is not None:
        wait_for_lock(options.lock)
    findings = list(run_checks())
    if options.json:
        print(json.dumps([finding.to_json() for finding in findings], indent=2))
    else:
        for finding in findings:
            if not (finding.ok and options.before_up):
                show(finding)
    return 0 if all(finding.ok for finding in findings) else 1


def wait_for_lock(descriptor: int) -> None:
    """Lock the open file *descriptor* for the process that opened it, which keeps the lock until it ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("inferlog: another scripts/up runs in this folder; waiting for its end", file=sys.stderr, flush=True)
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def show(finding: Finding) -> None:
    """Print *finding*, in colour on a terminal."""
    mark = "ok  " if finding.ok else "FIX "
    if sys.stdout.isatty():
        mark = f"\033[{32 if finding.ok else 31}m{mark}\033[0m"
    print(f"{mark} {finding.about}: {finding.detail}")


def run_checks() -> Iterator[Finding]:
    """Run one check after the other; those of the stack need Docker, Compose and a valid configuration."""
    engine = find_docker()
    yield engine
    if not engine.ok:
        return
    compose = find_compose()
    yield compose
    if not compose.ok:
        return
    try:
        stack = read_stack()
    except DockerError as error:
        yield Finding("configuration", ok=False, detail=f"docker compose rejects it: {error}")
        return
    yield from run_check("memory", find_memory)
    yield from run_check("processors", lambda: find_processors(stack))
    yield find_map_count(Path("/proc/sys/vm/max_map_count"))
    yield from run_check("open files", lambda: find_open_files(stack))
    yield from run_check("disk", find_disk)
    running = find_running_services()
    yield from find_ports(stack, running)
    yield from run_check("volumes", lambda: find_leftovers(stack))
    yield from run_check("versions", lambda: find_versions(stack))
    yield from run_check("clock", lambda: find_skew(stack, running))


def read_stack() -> Stack:
    """
    Return the stack as Docker Compose reads it.

    Raises:
        DockerError: With Compose's reason, if the configuration is invalid.
    """
    read = json.loads(run_docker("compose", "--project-directory", str(ROOT), "config", "--format", "json"))
    return Stack(name=read["name"], services=read["services"])


def run_check(about: str, find: Callable[[], Finding]) -> Iterator[Finding]:
    """Yield the result of *find*; a failed check is reported, but is not a problem."""
    try:
        yield find()
    except (DockerError, OSError, ValueError, KeyError) as error:
        yield Finding(about, ok=True, detail=f"could not be checked ({error})")


def find_docker() -> Finding:
    """Check that a Docker engine answers and is new enough."""
    if shutil.which("docker") is None:
        return Finding(
            "docker", ok=False, detail="the docker command is missing; install Docker Engine or Docker Desktop"
        )
    try:
        version = run_docker("version", "--format", "{{.Server.Version}}")
    except DockerError as error:
        return Finding(
            "docker", ok=False, detail=f"no engine answers ({error}); start Docker, or join the group docker"
        )
    return check_version("docker", version, OLDEST_DOCKER)


def find_compose() -> Finding:
    """Check that the compose plugin is installed and new enough."""
    try:
        version = run_docker("compose", "version", "--short")
    except DockerError:
        old = ", which replaces docker-compose 1.x" if shutil.which("docker-compose") else ""
        return Finding("docker compose", ok=False, detail=f"the plugin is missing; install docker-compose-plugin{old}")
    return check_version("docker compose", version, OLDEST_COMPOSE)


def check_version(about: str, version: str, oldest: tuple[int, ...]) -> Finding:
    """Check that *version* is *oldest* or newer."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[: len(oldest)])
    wanted = ".".join(map(str, oldest))
    if numbers >= oldest:
        return Finding(about, ok=True, detail=version)
    return Finding(
        about, ok=False, detail=f"has version {version or 'unknown'}; {wanted} or newer is needed: update it"
    )


def find_memory() -> Finding:
    """Check the memory for containers; on macOS and Windows it is less than that of the machine."""
    total_bytes = int(run_docker("info", "--format", "{{.MemTotal}}"))
    detail = f"{total_bytes / 1024**3:.1f} GiB for containers"
    if total_bytes >= 0.95 * NEEDED_MEMORY_BYTES:  # a machine with nominally 4 GiB reports a little less
        return Finding("memory", ok=True, detail=detail)
    return Finding(
        "memory", ok=False, detail=f"{detail}; 4 GiB are needed: give Docker more (Docker Desktop: Resources)"
    )


def find_processors(stack: Stack) -> Finding:
    """Check that no container has more processors than the machine: Docker rejects those."""
    count = int(run_docker("info", "--format", "{{.NCPU}}"))
    beyond = [
        setting
        for service, setting in PROCESSORS.items()
        if float(stack.services.get(service, {}).get("cpus", 0)) > count
    ]
    if not beyond:
        return Finding("processors", ok=True, detail=f"{count} for containers")
    return Finding(
        "processors",
        ok=False,
        detail=f"{count} for containers, and Docker rejects a container with more: "
        f"set {' and '.join(beyond)} in .env to {count} at most",
    )


def find_map_count(path: Path) -> Finding:
    """Check the kernel's limit of memory maps: below it, a single node only warns at its start and fails later."""
    if not path.exists():
        return Finding("vm.max_map_count", ok=True, detail="is set by Docker's virtual machine on this system")
    count = int(path.read_text())
    if count >= NEEDED_MAP_COUNT:
        return Finding("vm.max_map_count", ok=True, detail=str(count))
    return Finding(
        "vm.max_map_count",
        ok=False,
        detail=f"is {count}, and with many files open Elasticsearch fails below {NEEDED_MAP_COUNT}: "
        "sudo sysctl -w vm.max_map_count=1048576 (and in /etc/sysctl.d, to last)",
    )


def find_open_files(stack: Stack) -> Finding:
    """Check that the engine may give Elasticsearch its limit of open files: Docker rejects more than its own."""
    wanted = stack.services.get("elasticsearch", {}).get("ulimits", {}).get("nofile", 0)
    wanted = wanted["hard"] if isinstance(wanted, dict) else wanted
    if not ENGINE_PID_FILE.exists():
        return Finding("open files", ok=True, detail="are limited by Docker's virtual machine on this system")
    engine = Path("/proc") / ENGINE_PID_FILE.read_text().strip()
    (hard,) = re.findall(r"^Max open files +\S+ +(\S+)", (engine / "limits").read_text(), re.MULTILINE)
    (capabilities,) = re.findall(r"^CapEff:\s+(\w+)", (engine / "status").read_text(), re.MULTILINE)
    if int(capabilities, 16) & CAN_RAISE_LIMITS or hard == "unlimited" or int(hard) >= wanted:
        return Finding("open files", ok=True, detail=f"{wanted} for Elasticsearch")
    return Finding(
        "open files",
        ok=False,
        detail=f"Docker's own limit is {hard}, and Elasticsearch gets {wanted}: "
        f"set ELASTICSEARCH_OPEN_FILES in .env to {hard}, or raise LimitNOFILE of Docker's service",
    )


def find_disk() -> Finding:
    """Check the free space for Docker volumes; on macOS and Windows they are in a virtual machine."""
    folder = Path(run_docker("info", "--format", "{{.DockerRootDir}}"))
    if not folder.exists():
        return Finding("disk", ok=True, detail="is in Docker's virtual machine; Docker Desktop shows its free space")
    free_bytes = shutil.disk_usage(folder).free
    detail = f"{free_bytes / 1024**3:.1f} GiB free in {folder}"
    if free_bytes >= NEEDED_DISK_BYTES:
        return Finding("disk", ok=True, detail=detail)
    return Finding(
        "disk",
        ok=False,
        detail=f"{detail}; 6 GiB are needed, and below 2 GiB Elasticsearch stops writing: "
        "make room (docker system prune)",
    )


def find_running_services() -> set[str]:
    try:
        return set(run_docker("compose", "--project-directory", str(ROOT), "ps", "--services").split())
    except DockerError:
        return set()


def find_ports(stack: Stack, running: set[str]) -> Iterator[Finding]:
    """Check that the ports are free; of a range only the first is checked."""
    for service, port in sorted(stack.list_ports()):
        about = f"port {port}"
        if service in running:
            yield Finding(about, ok=True, detail=f"in use by {service}")
        elif is_port_taken(port):
            setting = PORTS[service]
            yield Finding(about, ok=False, detail=f"in use by another program; set {setting} in .env to a free port")
        else:
            yield Finding(about, ok=True, detail=f"free for {service}")


def is_port_taken(port: int) -> bool:
    """Return whether *port* on 127.0.0.1 is already in use."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def find_leftovers(stack: Stack) -> Finding:
    """Check for data without its passwords: Elasticsearch would reject the passwords of a new set-up."""
    volumes = set(run_docker("volume", "ls", "--format", "{{.Name}}").split())
    data, secrets = f"{stack.name}_elasticsearch-data", f"{stack.name}_elasticsearch-secrets"
    if data in volumes and secrets not in volumes:
        return Finding(
            "volumes",
            ok=False,
            detail=f"{data} is from a stack whose passwords are gone: "
            f"delete it with its events (docker volume rm {data}), or restore {secrets} from a backup",
        )
    return Finding("volumes", ok=True, detail="data and passwords belong together" if data in volumes else "none yet")


def find_versions(stack: Stack) -> Finding:
    """Check that the versions match."""
    elastic = stack.version
    major = str(stack.services["fluentd"]["environment"]["ELASTICSEARCH_MAJOR_VERSION"])
    if {elastic.partition(".")[0], major} != {"9"}:
        return Finding(
            "versions",
            ok=False,
            detail=f"ELASTIC_VERSION is {elastic} and ELASTICSEARCH_MAJOR_VERSION {major}; Fluentd's image has the "
            "client of Elasticsearch 9, which other versions reject: make them 9.x and 9 in .env",
        )
    images = set(
        run_docker(
            "ps", "--all", "--filter", f"label=com.docker.compose.project={stack.name}", "--format", "{{.Image}}"
        ).split()
    )
    older = {
        image for image in images if re.match(r"(elasticsearch|kibana):", image) and not image.endswith(f":{elastic}")
    }
    if any(parse_version(image) > parse_version(elastic) for image in older):
        return Finding(
            "versions",
            ok=False,
            detail=f"{', '.join(sorted(older))} ran with this data, and .env has the older {elastic}: "
            "Elasticsearch cannot be downgraded; set ELASTIC_VERSION in .env to the newer one",
        )
    return Finding("versions", ok=True, detail=f"Elasticsearch and Kibana {elastic}")


def parse_version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version or of an image tag."""
    return tuple(int(number) for number in re.findall(r"\d+", text.rpartition(":")[2]))


def find_skew(stack: Stack, running: set[str]) -> Finding:
    """Check the clock of the containers: a difference falsifies lag and time ranges."""
    if "app" not in running:
        return Finding("clock", ok=True, detail="is checked while the app is running")
    try:
        with urlopen(f"http://127.0.0.1:{dict(stack.list_ports())['app']}/healthz", timeout=3) as answer:
            date = answer.headers["Date"]
    except HTTPError as error:
        date = error.headers["Date"]
    except URLError as error:
        raise OSError(f"the app does not answer: {error.reason}") from error
    skew_seconds = abs(parsedate_to_datetime(date).timestamp() - time.time())
    if skew_seconds <= SKEW_AT_MOST_SECONDS:
        return Finding("clock", ok=True, detail="containers have the same time")
    return Finding(
        "clock", ok=False, detail=f"containers are {skew_seconds:.0f} s off: restart Docker, or set the clock"
    )


def run_docker(*arguments: str) -> str:
    """
    Run ``docker`` and return its output.

    Raises:
        DockerError: If it fails, with its last line.
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
