"""The secret part of Kibana's settings: one file per value, and one file that Kibana reads."""

from pathlib import Path

from inferlog_ops.provision.stack import secret_files

FILE = "kibana.secrets.yml"

_SETTINGS = {
    "elasticsearch.password": "kibana_system_password",
    # Without it there are no alert rules; with another key, encrypted objects cannot be read.
    "xpack.encryptedSavedObjects.encryptionKey": "encrypted_saved_objects_key",
    # Without it, all users are logged out when Kibana starts.
    "xpack.security.encryptionKey": "security_key",
    "xpack.reporting.encryptionKey": "reporting_key",
}
FILES = tuple(_SETTINGS.values())


def write_settings(folder: Path) -> bool:
    """
    Write the values in *folder* as Kibana settings; return whether the file changed.

    Raises:
        OperatorError: If one of them is missing.
    """
    lines = [f'{setting}: "{secret_files.read(folder / name)}"\n' for setting, name in _SETTINGS.items()]
    return secret_files.replace(folder / FILE, "".join(lines).encode("ascii"))
