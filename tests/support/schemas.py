"""The published schemas of files that others define, as the linter check-jsonschema brings them along."""

import subprocess
import sys
from pathlib import Path


def held_against(schema: str, *files: Path) -> subprocess.CompletedProcess[str]:
    """Hold *files* against the schema that check-jsonschema knows as *schema*."""
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
