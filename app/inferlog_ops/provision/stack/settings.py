"""Settings of the set-up: mounted volumes and addresses, read once from the environment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch.retention import check_retention

_FOLDERS = {
    "authority": "INFERLOG_SETUP_AUTHORITY",
    "certificates": "INFERLOG_SETUP_CERTIFICATES",
    "secrets": "INFERLOG_SETUP_SECRETS",
    "logs": "INFERLOG_SETUP_LOGS",
    "dead_letters": "INFERLOG_SETUP_DEAD_LETTERS",
}
_TEXTS = {
    "namespace": "INFERLOG_NAMESPACE",
    "elasticsearch_url": "ELASTICSEARCH_URL",
    "kibana_url": "KIBANA_URL",
    "public_kibana_url": "INFERLOG_SETUP_PUBLIC_KIBANA_URL",
}
_RETENTIONS = {"retention": "INFERLOG_RETENTION", "summaries_retention": "INFERLOG_SUMMARIES_RETENTION"}
_WAIT = "INFERLOG_SETUP_WAIT_SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """
    Settings of one installation.

    Attributes:
        authority: Folder of the authority's key, readable only by the container prepare.
        certificates: Folder of the authority's certificate, readable by all.
        secrets: Folder with one folder, which is a volume, for each service.
        logs: Folder of the app's log files.
        dead_letters: Folder of Fluentd's dead letters.
        namespace: Last part of the data stream names.
        retention: Lifetime of events in the notation of Elasticsearch: ``30d``. None: unchanged, at first 30d.
        summaries_retention: Lifetime of summaries. None: unchanged, at first 400d.
        elasticsearch_url: Address of Elasticsearch.
        kibana_url: Address of Kibana for the set-up.
        public_kibana_url: Address of Kibana for users.
        wait_seconds: Timeout for the start of Elasticsearch or Kibana.
    """

    authority: Path = Path("/authority")
    certificates: Path = Path("/certificates")
    secrets: Path = Path("/secrets")
    logs: Path = Path("/var/log/inferlog")
    dead_letters: Path = Path("/fluentd/state/dead_letters")
    namespace: str = "default"
    retention: str | None = None
    summaries_retention: str | None = None
    elasticsearch_url: str = "https://elasticsearch:9200"
    kibana_url: str = "https://kibana:5601"
    public_kibana_url: str = "https://localhost:5601"
    wait_seconds: float = 300.0

    @property
    def ca_file(self) -> Path:
        """Certificate of the authority."""
        return self.certificates / "ca.crt"

    @property
    def trusted_ca_file(self) -> str | None:
        """Certificate for the clients. Without it None: clients then trust the authorities of the system."""
        return str(self.ca_file) if self.ca_file.exists() else None

    @property
    def elastic_password(self) -> Path:
        """File of the superuser's password."""
        return self.secrets / "elasticsearch/elastic_password"

    @property
    def kibana_system_password(self) -> Path:
        """File of the password with which Kibana logs in to Elasticsearch."""
        return self.secrets / "kibana/kibana_system_password"

    @property
    def operator_password(self) -> Path:
        """File of the password with which the operator logs in to Kibana."""
        return self.secrets / "operator/operator_password"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """
        Read the settings in *environ*; missing ones have their default.

        Raises:
            OperatorError: With the variable, its value, and the expected form.
        """
        given = {name: value for name, value in environ.items() if value}
        values: dict[str, Any] = {field: Path(given[name]) for field, name in _FOLDERS.items() if name in given}
        values |= {field: given[name] for field, name in _TEXTS.items() if name in given}
        values |= {
            field: check_retention(given[name], where=name) for field, name in _RETENTIONS.items() if name in given
        }
        if _WAIT in given:
            values["wait_seconds"] = _parse_seconds(given[_WAIT])
        return cls(**values)


def _parse_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < math.inf:
        raise OperatorError(f"{_WAIT} is {text!r}; expected a number of seconds above 0", exit_code=2)
    return seconds
