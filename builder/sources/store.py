"""Archives that have been downloaded: kept, so that everything works offline afterwards."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from builder.core.sources import SourcePin
from builder.errors import SourceError
from builder.system.files import digest_file, replacement


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveStore:
    """The folder `<cache>/downloads`; names start with the digest the content must have."""

    folder: Path

    def path(self, pin: SourcePin) -> Path:
        """Returns where the archive of `pin` is, or will be."""
        return self.folder / f"{pin.sha256}-{pin.file}"

    def find_verified(self, pin: SourcePin) -> Path | None:
        """Returns the archive if it is there and its bytes are right; a damaged one is removed."""
        path = self.path(pin)
        if not path.is_file():
            return None
        if digest_file(path) == pin.sha256:
            return path
        path.unlink()
        return None

    def admit(self, pin: SourcePin, candidate: Path, origin: str) -> Path:
        """Takes over a downloaded file when its bytes are right, and removes it otherwise.

        Raises:
            SourceError: the digest differs; `origin` says where the file came from.
        """
        actual = digest_file(candidate)
        if actual != pin.sha256:
            candidate.unlink()
            raise hash_mismatch(pin, actual, origin)
        return candidate.replace(self.path(pin))

    def copy(self, pin: SourcePin, source: Path) -> Path:
        """Copies `source` in and checks the copy; `source` itself is left alone.

        Raises:
            SourceError: the digest differs.
        """
        with replacement(self.path(pin)) as temporary:
            shutil.copyfile(source, temporary)
            actual = digest_file(temporary)
            if actual != pin.sha256:
                raise hash_mismatch(pin, actual, str(source))
        return self.path(pin)


def hash_mismatch(pin: SourcePin, actual: str, origin: str) -> SourceError:
    """Returns the error for an archive with other bytes than the lock file promises."""
    return SourceError(
        f"{pin.file} from {origin} is not the pinned file:\n"
        f"    expected sha256 {pin.sha256}\n"
        f"    actual   sha256 {actual}",
        hint="remove that file, or choose another provider: builder fetch --provider git",
    )
