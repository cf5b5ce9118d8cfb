"""Objects that a power loss may have torn are compiled again.

ninja records a command when it has ended, and compilers write beside and rename, so killing any
process leaves nothing wrong. A power loss is different: a rename may survive when the data do not.
So while a wave runs a note with the machine's boot id stands in the folder; when the note is from
another boot, the objects written since it was made are dropped.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.system.files import write_atomically
from builder.system.machine import read_boot_id


@contextmanager
def wave(root: Path) -> Iterator[None]:
    """Notes that objects under `root` are being written; clears the note when they are on disk."""
    note = root / "wave.json"
    if not note.exists():
        write_atomically(note, json.dumps({"boot_id": read_boot_id(), "started": time.time()}))
    yield
    os.sync()
    note.unlink(missing_ok=True)


def drop_torn_objects(root: Path) -> int:
    """Removes objects written in a wave that a power loss ended; returns how many."""
    note = root / "wave.json"
    try:
        noted = json.loads(note.read_text())
        boot_id, started = str(noted["boot_id"]), float(noted["started"])
    except FileNotFoundError:
        return 0
    except (ValueError, KeyError, TypeError):
        boot_id, started = "", 0.0
    if boot_id == read_boot_id():
        return 0
    torn = [path for path in (root / "objects").rglob("*.o") if path.stat().st_mtime >= started - 2]
    for path in torn:
        path.unlink()
    note.unlink()
    return len(torn)
