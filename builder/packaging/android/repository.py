"""Writes an AAR into a Maven repository, beside the versions that are there."""

from __future__ import annotations

from pathlib import Path

from builder.core.android import AndroidPackage, WrittenAar


def write_aar(package: AndroidPackage, output: Path) -> WrittenAar:
    """Writes `output/maven/<group>/<artifact>/<version>`, replaced as a whole or not at all.

    The same package gives the same bytes. Other versions stay, and stay listed.

    Raises:
        PackagingError: no library, an ABI twice, or a file that is not there.
    """
    raise NotImplementedError
