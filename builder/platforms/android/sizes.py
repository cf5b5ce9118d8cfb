"""What an AAR adds to an app, in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSize:
    """One file, or several together."""

    file: int
    """Bytes."""
    compressed: int
    """Deflated at zlib's default level, each file by itself, as entries of an APK are."""

    def __add__(self, other: FileSize) -> FileSize:
        return FileSize(file=self.file + other.file, compressed=self.compressed + other.compressed)


@dataclass(frozen=True, slots=True, kw_only=True)
class AarSizes:
    """Where the bytes of an AAR go."""

    archive: int
    """Bytes of the AAR itself."""
    libraries: Mapping[str, Mapping[str, FileSize]]
    """ABI -> file name -> size."""
    shared: Mapping[str, FileSize]
    """What every device gets: classes, assets, resources; by path in the AAR."""

    def library_total(self, abi: str) -> FileSize:
        """Returns the size of all libraries of an ABI."""
        return sum(self.libraries[abi].values(), _NOTHING)

    @property
    def totals(self) -> dict[str, tuple[int, int]]:
        """ABI -> bytes of all its libraries, and bytes when they are compressed."""
        sums = {abi: sum(files.values(), _NOTHING) for abi, files in self.libraries.items()}
        return {abi: (one.file, one.compressed) for abi, one in sums.items()}

    def download(self, abi: str) -> int:
        """Returns an estimate of what an app's download grows by on a device of `abi`.

        Play sends a device the split of its ABI, compressed; bundletool estimates that by
        compressing it: https://developer.android.com/tools/bundletool#measure_size. Before R8 and
        before classes are turned into dex.
        """
        return sum(self.shared.values(), self.library_total(abi)).compressed


_NOTHING = FileSize(file=0, compressed=0)
