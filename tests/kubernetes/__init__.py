"""Tests on a real Kubernetes: pods end in every usual way, and no line is lost."""
