"""Proof that the product works: tests, their support, and the maintainers' tools for chaos and fuzzing."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
"""Root of the repository."""
