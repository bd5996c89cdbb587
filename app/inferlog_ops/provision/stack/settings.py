"""Where the volumes are mounted and whom to talk to; read once, from the environment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from inferlog_ops.core.errors import OperatorError
from inferlog_ops.provision.elasticsearch.retention import checked_retention

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
_RETENTION = "INFERLOG_SETUP_RETENTION"
_WAIT = "INFERLOG_SETUP_WAIT_SECONDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    What differs between two installations.

    Attributes:
        authority: Folder of the authority's key; only who makes certificates can read it.
        certificates: Folder of the authority's certificate, for everybody.
        secrets: Folder with a folder for each service, each a volume of its own.
        logs: The folder that the app writes its log files to.
        dead_letters: The folder that Fluentd puts refused lines into.
        namespace: Last part of the data streams' names.
        retention: How long events stay, as Elasticsearch writes it: ``30d``.
        elasticsearch_url: Address of Elasticsearch.
        kibana_url: Address of Kibana as seen from the set-up.
        public_kibana_url: Address of Kibana as people see it.
        wait_seconds: How long Elasticsearch or Kibana is waited for.
    """

    authority: Path = Path("/authority")
    certificates: Path = Path("/certificates")
    secrets: Path = Path("/secrets")
    logs: Path = Path("/var/log/inferlog")
    dead_letters: Path = Path("/fluentd/state/dead_letters")
    namespace: str = "default"
    retention: str = "30d"
    elasticsearch_url: str = "https://elasticsearch:9200"
    kibana_url: str = "https://kibana:5601"
    public_kibana_url: str = "https://localhost:5601"
    wait_seconds: float = 300.0

    @property
    def ca_file(self) -> Path:
        """The certificate of the authority that all others are checked by."""
        return self.certificates / "ca.crt"

    @property
    def elastic_password(self) -> Path:
        """File of the superuser's password."""
        return self.secrets / "elasticsearch/elastic_password"

    @property
    def kibana_system_password(self) -> Path:
        """File of the password by which Kibana logs in to Elasticsearch."""
        return self.secrets / "kibana/kibana_system_password"

    @property
    def operator_password(self) -> Path:
        """File of the password by which a person logs in to Kibana."""
        return self.secrets / "operator/operator_password"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """
        Return the settings in *environ*; what is not there has its default.

        Raises:
            OperatorError: Naming the variable, its value, and what was expected.
        """
        given = {name: value for name, value in environ.items() if value}
        values: dict[str, Any] = {field: Path(given[name]) for field, name in _FOLDERS.items() if name in given}
        values |= {field: given[name] for field, name in _TEXTS.items() if name in given}
        if _RETENTION in given:
            values["retention"] = checked_retention(given[_RETENTION], where=_RETENTION)
        if _WAIT in given:
            values["wait_seconds"] = _seconds(given[_WAIT])
        return cls(**values)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < math.inf:
        raise OperatorError(f"{_WAIT} is {text!r}; expected a number of seconds above 0", exit_code=2)
    return seconds
