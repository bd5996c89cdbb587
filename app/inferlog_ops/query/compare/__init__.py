"""Two model versions side by side: each figure, the difference, how sure it is, and a verdict."""
