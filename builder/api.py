"""The use-cases: stages meet here, and only here."""

from __future__ import annotations
