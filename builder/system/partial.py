"""Keeps unfinished downloads on disk, so that they can be continued."""

from __future__ import annotations

import json
from pathlib import Path


class PartialFile:
    """The unfinished file of one download, with a note of its URL and its validator."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = target.with_name(target.name + ".part")
        self._note = target.with_name(target.name + ".part.json")

    def size(self, url: str) -> int:
        """Returns the number of bytes that need not be downloaded again from `url`."""
        # Without a validator nobody can say whether the rest belongs to the same file.
        return self.path.stat().st_size if self._validator(url) and self.path.exists() else 0

    def request_headers(self, url: str) -> dict[str, str]:
        """Returns headers that request the rest, on condition that the server has the same file."""
        validator, size = self._validator(url), self.size(url)
        if not validator or not size:
            return {}
        # If-Range: the server sends the whole file when its validator differs (RFC 9110, section
        # 13.1.5).
        return {"Range": f"bytes={size}-", "If-Range": validator}

    def start(self, url: str, validator: str | None) -> None:
        """Starts a new download; without a validator, it cannot be continued later."""
        # First the old bytes go: a note beside them would make them part of another file.
        self.discard()
        if validator:
            self._note.write_text(json.dumps({"url": url, "validator": validator}))

    def discard(self) -> None:
        """Removes everything that was received."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self) -> None:
        """Renames the complete file to its final name."""
        # A rename is atomic, so a complete file never has a partial one's contents.
        self.path.replace(self._target)
        self._note.unlink(missing_ok=True)

    def _validator(self, url: str) -> str | None:
        try:
            note = json.loads(self._note.read_text())
        except (OSError, ValueError):
            return None
        if not isinstance(note, dict) or note.get("url") != url:
            return None
        validator = note.get("validator")
        return validator if isinstance(validator, str) else None
