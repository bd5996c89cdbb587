"""Comparison of two model versions: figures, differences with confidence intervals, and a verdict."""
