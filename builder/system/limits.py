"""The limits of work in a process of its own (builder/system/children.py), as a user sets them.

Requests hold them, and most commands start no such process. So this module loads nothing that is
only needed to start one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from builder.core.byte_sizes import ByteSize
from builder.core.setting_fields import Setting, Text
from builder.system.machine import memory_bytes

DEFAULT_SECONDS = 120
"""Seconds of CPU time for one job."""
_LEAST_MEMORY = 2 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one job."""

    seconds: Annotated[int, Setting(placeholder="SECONDS", least=1, most=1_000_000)] = (
        DEFAULT_SECONDS
    )
    """CPU time that PyTorch may use for one run of the model, or to load it."""
    memory: Annotated[Text[ByteSize] | None, Setting(placeholder="SIZE")] = None
    """Memory that PyTorch may use for the model, e.g. 8GiB or 500MB (default: half of this
    machine's memory)."""

    @property
    def memory_bytes(self) -> int:
        """The memory limit in bytes."""
        return self.memory or max(memory_bytes() // 2, _LEAST_MEMORY)

    @property
    def memory_text(self) -> str:
        """The memory limit as text for people."""
        return f"{self.memory_bytes / (1 << 20):,.0f} MiB"
