"""The AAR: what lies where in it (https://developer.android.com/studio/projects/android-library)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from builder.core.plan import JNI_SONAME
from builder.core.runtime_manifest import ManifestFile
from builder.packaging.sbom import render_sbom
from builder.packaging.sbom_subject import PackagedFile, Subject
from builder.platforms.android.java import write_jar
from builder.platforms.android.manifest import AarManifest, LibraryEntry
from builder.platforms.android.package import AndroidLibrary, AndroidPackage
from builder.platforms.android.prefab import list_prefab
from builder.platforms.package_manifest import LICENCES, MANIFEST, SBOM
from builder.system.files import digest_file
from builder.system.zips import write_zip

_NAMESPACE = "org.pytorch"
"""As in the published artifact, which ours stands in for; there are no resources in either."""
_ANDROID_MANIFEST = """\
<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android"
    package="{namespace}">

    <uses-sdk android:minSdkVersion="{min_api}" />

</manifest>
"""
_AAR_METADATA = "META-INF/com/android/build/gradle/aar-metadata.properties"
_AAR_VERSIONS = b"aarFormatVersion=1.0\naarMetadataVersion=1.0\n"


def write_archive(package: AndroidPackage, classes_jar: Path, aar: Path, *, sbom: str) -> None:
    """Writes the AAR, and on the way the jar of its classes; equal packages give equal bytes."""
    # The manifest lists the jar's digest, so the jar has to exist first.
    write_jar(package.java.classes, classes_jar)
    # The manifest lists the digests of all other files, so it is made last and does not list
    # itself.
    contents = _list_contents(package) | {"classes.jar": classes_jar, SBOM: sbom.encode()}
    manifest = _describe(package, contents).to_text().encode()
    write_zip(contents | {MANIFEST: manifest}, aar)


def describe_contents(package: AndroidPackage) -> str:
    """Returns the software bill of materials of the AAR."""
    coordinates = package.coordinates
    subject = Subject(
        kind="maven",
        group=coordinates.group,
        name=coordinates.artifact,
        version=coordinates.version,
        qualifiers={"type": "aar"},
    )
    return render_sbom(
        subject, [file for library in package.libraries for file in _list_libraries(library)]
    )


def _list_libraries(library: AndroidLibrary) -> list[PackagedFile]:
    own = PackagedFile(
        path=library_path(library),
        sha256=digest_file(library.library),
        components=(*library.components, *library.other_components),
        manifests=(library.manifest,),
    )
    others = [
        PackagedFile(
            path=library_path(library, other.library.name),
            sha256=digest_file(other.library),
            components=library.other_components,
        )
        for other in library.others
    ]
    return [own, *others]


def library_path(library: AndroidLibrary, name: str = JNI_SONAME) -> str:
    """Returns where a library of this ABI lies in the AAR."""
    return f"jni/{library.abi}/{name}"


def _list_contents(package: AndroidPackage) -> dict[str, Path | bytes]:
    manifest = _ANDROID_MANIFEST.format(namespace=_NAMESPACE, min_api=package.min_api)
    contents: dict[str, Path | bytes] = {
        "AndroidManifest.xml": manifest.encode(),
        _AAR_METADATA: _AAR_VERSIONS,
        # The list of resources, of which there are none.
        "R.txt": b"",
        "proguard.txt": package.java.rules,
    }
    contents |= {f"{LICENCES}/{name}.txt": path for name, path in package.licences.items()}
    contents |= {f"assets/{name}": path for name, path in package.assets.items()}
    for library in package.libraries:
        contents |= {library_path(library, name): f.library for name, f in library.files.items()}
    if package.prefab is not None:
        contents |= list_prefab(package.prefab, package.libraries, package.min_api)
    return contents


def _describe(package: AndroidPackage, contents: Mapping[str, Path | bytes]) -> AarManifest:
    return AarManifest(
        group=package.coordinates.group,
        artifact=package.coordinates.artifact,
        version=package.coordinates.version,
        min_api=package.min_api,
        pins=package.pins,
        libraries={
            library.abi: LibraryEntry(
                path=library_path(library),
                page_size=library.page_size,
                flags=library.flags,
                runtime=library.manifest,
            )
            for library in package.libraries
        },
        files={name: _measure(content) for name, content in contents.items()},
    )


def _measure(content: Path | bytes) -> ManifestFile:
    if isinstance(content, bytes):
        return ManifestFile(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    return ManifestFile(size=content.stat().st_size, sha256=digest_file(content))
