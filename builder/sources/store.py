"""Keeps downloaded archives, so that later fetches work without network."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from builder.core.sources import SourcePin
from builder.errors import Hint, Run, SourceError, Use
from builder.system.files import digest_file, replacement


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveStore:
    """The folder `<cache>/downloads`; each file name starts with the digest of the file."""

    folder: Path

    def path(self, pin: SourcePin) -> Path:
        """Returns the path of the archive of `pin`, whether it exists or not."""
        return self.folder / f"{pin.sha256}-{pin.file}"

    def find_verified(self, pin: SourcePin) -> Path | None:
        """Returns the archive if it exists and has the right digest; a damaged one is removed."""
        path = self.path(pin)
        if not path.is_file():
            return None
        if digest_file(path) == pin.sha256:
            return path
        # It is of no use, and would be in the way of the next download.
        path.unlink()
        return None

    def admit(self, pin: SourcePin, candidate: Path, origin: str) -> Path:
        """Moves a downloaded file into the store if it has the right digest, else removes it.

        Raises:
            SourceError: the digest differs; the message names `origin`, where the file came from.
        """
        actual = digest_file(candidate)
        if actual != pin.sha256:
            candidate.unlink()
            raise hash_mismatch(pin, actual, origin)
        return candidate.replace(self.path(pin))

    def copy(self, pin: SourcePin, source: Path) -> Path:
        """Copies `source` into the store and checks the copy; `source` itself does not change.

        Raises:
            SourceError: the digest differs.
        """
        with replacement(self.path(pin)) as temporary:
            shutil.copyfile(source, temporary)
            # The copy is checked and not the original, which may change after the check.
            actual = digest_file(temporary)
            if actual != pin.sha256:
                raise hash_mismatch(pin, actual, str(source))
        return self.path(pin)


def hash_mismatch(pin: SourcePin, actual: str, origin: str) -> SourceError:
    """Returns the error for an archive whose digest is not the one in the lock file."""
    return SourceError(
        f"{pin.file} from {origin} is not the pinned file:\n"
        f"    expected sha256 {pin.sha256}\n"
        f"    actual   sha256 {actual}",
        hint=Hint(
            "remove that file, or choose another provider: ",
            Run("fetch", (Use("provider", "git"),)),
        ),
    )
