"""Facts about the machine that builder runs on."""

from __future__ import annotations

import os
import platform


def host_architecture() -> str:
    """Returns the CPU architecture of this machine, as `uname -m` prints it."""
    return platform.machine()


def host_abi() -> str:
    """Returns the ABI of this machine in the form of target names, e.g. `linux-x86_64`."""
    return f"{platform.system().lower()}-{host_architecture()}"


def count_cores() -> int:
    """Returns the number of CPUs that this process may use."""
    # macOS has no sched_getaffinity.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Returns the memory of this machine in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
