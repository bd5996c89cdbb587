"""The prompts that callers choose from."""

from pathlib import Path
from typing import Final

DEFAULT_FILE: Final = Path(__file__).resolve().parent.parent / "prompts.txt"


def read_prompts(path: Path) -> tuple[str, ...]:
    """
    Return the prompts in *path*, one a line; empty lines and those that begin with ``#`` are left out.

    Raises:
        ValueError: If it cannot be read or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as prompts: {error}") from error
    prompts = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not prompts:
        raise ValueError(f"{path} holds no prompt; expected one a line")
    return prompts
