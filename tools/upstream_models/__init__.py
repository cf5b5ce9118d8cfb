"""Upstream's mobile test models, each on a runtime of its own; see tools/conformance.py."""
