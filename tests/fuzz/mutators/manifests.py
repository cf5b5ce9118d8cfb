"""Mutates manifests and other files of JSON."""

from __future__ import annotations

from tests.fuzz.mutators.values import mutate_json as mutate

__all__ = ["mutate"]
