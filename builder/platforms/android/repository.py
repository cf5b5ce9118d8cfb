"""Writes an AAR into a Maven repository, beside the versions that are there."""

from __future__ import annotations

import re
from pathlib import Path
from xml.sax.saxutils import unescape

from builder.errors import Hint, PackagingError, Use
from builder.packaging.result_folder import refuse_foreign_folder, result_folder
from builder.platforms.android.archive import describe_contents, write_archive
from builder.platforms.android.java import write_jar
from builder.platforms.android.maven import digest, render_module, render_pom, render_versions
from builder.platforms.android.package import AndroidPackage, Coordinates, WrittenAar
from builder.system.files import write_atomically
from builder.system.outputs import refuse_foreign_file, writing_into
from builder.system.zips import write_zip

REPOSITORY = "maven"
"""Folder below the output folder."""
_VERSIONS = "maven-metadata.xml"
_VERSION = re.compile("<version>(.*?)</version>")


def write_aar(package: AndroidPackage, output: Path) -> WrittenAar:
    """Writes `output/maven/<group>/<artifact>/<version>`, replaced as a whole or not at all.

    The same package gives the same bytes. Other versions stay, and stay listed.

    Raises:
        ConfigurationError: something that would be replaced is not builder's.
        PackagingError: no library, an ABI twice, a path that leaves its folder, a file that is
            not there, or it cannot be written.
    """
    _check(package)
    coordinates = package.coordinates
    artifact = output / REPOSITORY / coordinates.folder
    target = artifact / coordinates.version
    _refuse_foreign_versions(coordinates, artifact / _VERSIONS)
    with result_folder(target) as folder:
        _fill(package, folder)
    with writing_into(
        artifact, PackagingError, hint=Hint("choose another folder with ", Use("output"))
    ):
        _write_versions(coordinates, artifact)
    return locate_aar(coordinates, output)


def locate_aar(coordinates: Coordinates, output: Path) -> WrittenAar:
    """Returns where `write_aar` writes below `output`."""
    folder = output / REPOSITORY / coordinates.folder / coordinates.version
    return WrittenAar(
        coordinates=coordinates,
        repository=output / REPOSITORY,
        folder=folder,
        aar=folder / f"{coordinates.stem}.aar",
        symbols=folder / _symbols_name(coordinates),
    )


def is_listed(coordinates: Coordinates, output: Path) -> bool:
    """Returns whether the repository's list of versions is there and has the one of `coordinates`.

    Whatever the list is made of, `refuse_foreign` has looked at it.
    """
    versions = output / REPOSITORY / coordinates.folder / _VERSIONS
    try:
        listed = _VERSION.findall(versions.read_text(encoding="utf-8"))
        known = digest(versions.read_bytes())
        kept = {end: (versions.with_name(f"{_VERSIONS}.{end}")).read_text() for end in known}
    except (OSError, UnicodeDecodeError):
        return False
    return kept == known and coordinates.version in map(unescape, listed)


def refuse_foreign(coordinates: Coordinates, output: Path) -> None:
    """Raises ConfigurationError when writing `coordinates` would lose what is not builder's."""
    artifact = output / REPOSITORY / coordinates.folder
    refuse_foreign_folder(artifact / coordinates.version)
    _refuse_foreign_versions(coordinates, artifact / _VERSIONS)


def _refuse_foreign_versions(coordinates: Coordinates, path: Path) -> None:
    """Raises ConfigurationError when the list of versions is not as builder writes it."""

    def is_ours(file: Path) -> bool:
        # The file has no mark of its own, so it counts as ours when we would write the same text.
        text = file.read_text(encoding="utf-8", errors="replace")
        listed = [unescape(version) for version in _VERSION.findall(text)]
        return bool(listed) and text == render_versions(coordinates, listed)

    refuse_foreign_file(path, is_ours, "list of versions that builder wrote")


def _write_versions(coordinates: Coordinates, artifact: Path) -> None:
    write_atomically(artifact / _VERSIONS, render_versions(coordinates, _find_versions(artifact)))
    _write_digests(artifact / _VERSIONS)


def _fill(package: AndroidPackage, folder: Path) -> None:
    coordinates, java = package.coordinates, package.java
    stem = coordinates.stem
    classes = folder / "classes.jar"
    sbom = describe_contents(package)
    write_atomically(folder / f"{stem}-cyclonedx.json", sbom)
    write_archive(package, classes, folder / f"{stem}.aar", sbom=sbom)
    # The AAR has it, and only the AAR is published.
    classes.unlink()
    write_jar(java.sources, folder / f"{stem}-sources.jar")
    write_jar(java.javadoc, folder / f"{stem}-javadoc.jar")
    # Play takes the symbols of an app in this layout: a folder per ABI in a zip archive.
    symbols: dict[str, Path | bytes] = {
        f"{entry.abi}/{name}": file.unstripped
        for entry in package.libraries
        for name, file in entry.files.items()
    }
    write_zip(symbols, folder / _symbols_name(coordinates))
    write_atomically(folder / f"{stem}.pom", render_pom(coordinates))
    write_atomically(folder / f"{stem}.module", render_module(coordinates, folder))
    # Last, because every other file gets its digests; the list is made before they are written.
    for path in sorted(folder.iterdir()):
        _write_digests(path)


def _symbols_name(coordinates: Coordinates) -> str:
    return f"{coordinates.stem}-native-debug-symbols.zip"


def _write_digests(path: Path) -> None:
    for ending, text in digest(path.read_bytes()).items():
        write_atomically(path.with_name(f"{path.name}.{ending}"), text)


def _find_versions(artifact: Path) -> list[str]:
    return [
        folder.name
        for folder in artifact.iterdir()
        # A folder without a POM is no version, whatever is in it.
        if (folder / f"{artifact.name}-{folder.name}.pom").is_file()
    ]


def _check(package: AndroidPackage) -> None:
    abis = [library.abi for library in package.libraries]
    if not abis or len(set(abis)) != len(abis):
        raise PackagingError(f"an AAR needs one library per ABI, not {abis}")
    for name in package.assets:
        # An app unpacks assets below its own folder.
        if not {"", ".", ".."}.isdisjoint(name.split("/")):
            raise PackagingError(f"{name!r} is not a path below the folder assets of an AAR")
    given = [*package.licences.values(), *package.assets.values(), package.java.rules]
    for library in package.libraries:
        given += [path for f in library.files.values() for path in (f.library, f.unstripped)]
    for path in given:
        if not path.is_file():
            raise PackagingError(f"the AAR cannot contain {path}: it is not a file")
