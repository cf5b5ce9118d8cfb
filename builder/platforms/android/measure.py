"""Measures AARs, our own and others."""

from __future__ import annotations

import zlib
from pathlib import Path

from builder.core.budgets import Budgets
from builder.errors import ConfigurationError
from builder.platforms.android.sizes import AarSizes, FileSize
from builder.size.budget_check import refuse_package_excess
from builder.system.zips import Zip, open_zip

_LIBRARIES = "jni/"
_SHARED = ("assets/", "classes.jar", "libs/", "res/")
"""What goes into an app besides libraries; headers, rules and licences do not."""


def measure_aar(path: Path) -> AarSizes:
    """Returns what the AAR at `path` adds to an app.

    Raises:
        ConfigurationError: the AAR is damaged, or has no library of any ABI.
    """
    libraries: dict[str, dict[str, FileSize]] = {}
    with open_zip(path) as archive:
        for name in archive.names:
            if name.startswith(_LIBRARIES) and name.count("/") > 1:
                abi, _, file = name.removeprefix(_LIBRARIES).partition("/")
                libraries.setdefault(abi, {})[file] = _measure(archive, name)
        shared = {n: _measure(archive, n) for n in archive.names if n.startswith(_SHARED)}
    if not libraries:
        raise ConfigurationError(f"{path} has no library of any ABI")
    return AarSizes(archive=path.stat().st_size, libraries=libraries, shared=shared)


def refuse_aar_excess(sizes: AarSizes, budgets: Budgets, *, path: Path) -> None:
    """Raises VerificationError when the libraries of an ABI are larger than a budget allows."""
    refuse_package_excess(sizes.totals, budgets, path=path)


def _measure(archive: Zip, name: str) -> FileSize:
    content = archive.read(name)
    # A download is compressed file by file without a header, as in the APK.
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    compressed = len(deflate.compress(content)) + len(deflate.flush())
    # A zip archive stores what compression would make larger.
    return FileSize(file=len(content), compressed=min(compressed, len(content)))
