"""The benchmarks are scripts: what one of them imports from another is found beside it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
