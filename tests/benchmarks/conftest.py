"""The benchmarks are scripts: what one of them imports from another is found beside it, and so it is for the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
