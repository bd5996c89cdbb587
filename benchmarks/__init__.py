"""
Benchmarks: ``scripts/bench`` runs them one after the other and prints one page.

Each benchmark is a module that also runs alone, such as ``python -m benchmarks.lag``, with options for its sizes.
Compared variants alternate within one run: a shared machine has slow minutes, so only ratios within a run count.
"""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
"""Repository root."""
