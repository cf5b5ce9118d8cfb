from __future__ import annotations

import os
import platform

from builder.system.machine import count_cores, host_abi, host_architecture, memory_bytes


def test_facts_of_this_machine():
    assert 1 <= count_cores() <= (os.cpu_count() or 1)
    assert memory_bytes() > 1 << 28
    assert host_architecture() == platform.machine()


def test_this_machine_is_named_as_targets_are(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert host_abi() == "linux-aarch64"
