"""Published schemas of common file formats, as bundled with check-jsonschema."""

import subprocess
import sys
from pathlib import Path


def validate_schema(schema: str, *files: Path) -> subprocess.CompletedProcess[str]:
    """Validate *files* with the bundled schema *schema*."""
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
