"""Reading a model's operators: builder beside torch, process time and peak memory, in one run.

.venv/bin/python benchmarks/ops.py model.ptl
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

WITH_TORCH = (
    "import sys, torch; from torch.jit.mobile import _load_for_lite_interpreter as load,"
    " _export_operator_list as ops; print(sorted(ops(load(sys.argv[1]))))"
)


def measure(command: list[str], times: int) -> tuple[float, int]:
    """Returns the median process time in seconds and the largest peak memory in bytes."""
    seconds, memory = [], 0
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(times):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit(f"failed: {command}")
        seconds.append(usage.ru_utime + usage.ru_stime)
        memory = max(memory, usage.ru_maxrss * 1024)
    return statistics.median(seconds), memory


def main() -> None:
    """Prints both and their ratios."""
    model = sys.argv[1]
    builder = Path(sys.executable).with_name("builder")
    ours = measure([str(builder), "ops", model], 15)
    theirs = measure([sys.executable, "-c", WITH_TORCH, model], 3)
    print(f"{'':10}{'CPU seconds':>12}{'peak bytes':>14}")
    print(f"{'builder':10}{ours[0]:12.3f}{ours[1]:14,}")
    print(f"{'torch':10}{theirs[0]:12.3f}{theirs[1]:14,}")
    print(f"{'ratio':10}{theirs[0] / ours[0]:12.1f}{theirs[1] / ours[1]:14.1f}")


if __name__ == "__main__":
    main()
