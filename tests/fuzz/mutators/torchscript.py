"""Mutates TorchScript files, which builder knows by their records and never runs."""

from __future__ import annotations

from tests.fuzz.mutators.lite_zip import mutate

__all__ = ["mutate"]
