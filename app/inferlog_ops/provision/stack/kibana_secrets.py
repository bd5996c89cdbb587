"""The part of Kibana's settings that is secret: kept as a file for each value, given to Kibana as one."""

from pathlib import Path

from inferlog_ops.provision.stack import secret_files

FILE = "kibana.secrets.yml"

_SETTINGS = {
    "elasticsearch.password": "kibana_system_password",
    # Without it there are no alert rules; with another one nothing that was encrypted can be read.
    "xpack.encryptedSavedObjects.encryptionKey": "encrypted_saved_objects_key",
    # Without it everybody is logged out when Kibana starts.
    "xpack.security.encryptionKey": "security_key",
    "xpack.reporting.encryptionKey": "reporting_key",
}
FILES = tuple(_SETTINGS.values())


def write_settings(folder: Path) -> bool:
    """
    Write what the files in *folder* say as settings; return whether that was not there before.

    Raises:
        OperatorError: If one of them is missing.
    """
    lines = [f'{setting}: "{secret_files.read(folder / name)}"\n' for setting, name in _SETTINGS.items()]
    return secret_files.replace(folder / FILE, "".join(lines).encode("ascii"))
