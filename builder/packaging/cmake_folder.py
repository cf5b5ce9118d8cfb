"""The folder `cmake` of an output folder: CMake finds the runtime for its own system through it."""

from __future__ import annotations

from pathlib import Path

from builder.packaging.result_folder import LISTING, refuse_foreign_folder, result_folder
from builder.system.files import copy_file

FOLDER = "cmake"
_CONFIG, _VERSION = "TorchLiteConfig.cmake", "TorchLiteConfigVersion.cmake"


def refuse_cmake_folder(output: Path) -> None:
    """Raises ConfigurationError when `output/cmake` has something that builder did not write."""
    refuse_foreign_folder(output / FOLDER, LISTING)


def write_cmake_folder(output: Path, package: Path) -> None:
    """Writes `output/cmake`, unless it is there as it would be written.

    With CMAKE_PREFIX_PATH=<output>, `find_package(TorchLite)` then takes the runtime in
    `<output>/<abi>` for the system that is compiled for.

    Args:
        output: the output folder of a build.
        package: the folder `cmake/package` of builder.

    Raises:
        ConfigurationError: the folder has something that builder did not write.
        PackagingError: it cannot be written.
    """
    sources = {_CONFIG: package / "several" / _CONFIG, _VERSION: package / _VERSION}
    folder = output / FOLDER
    if all(_is_equal(folder / name, source) for name, source in sources.items()):
        return
    with result_folder(folder) as written:
        for name, source in sources.items():
            copy_file(source, written / name)


def _is_equal(path: Path, source: Path) -> bool:
    try:
        # A pipe in its place would be read for ever.
        return path.is_file() and path.read_bytes() == source.read_bytes()
    except OSError:
        return False
