"""Golden documents, and plain Python functions that compute the answer of each saved query."""

from tests.golden.answers import allow_for_rounding, compute_expected_rows
from tests.golden.documents import END, START, Golden, build_golden
from tests.golden.reading import Document, Row

__all__ = ["END", "START", "Document", "Golden", "Row", "allow_for_rounding", "build_golden", "compute_expected_rows"]
