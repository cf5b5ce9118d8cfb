"""What Maven and Gradle read of an artifact: POM, Gradle module metadata, list of versions."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from builder.platforms.android.package import ARTIFACT, GROUP, Coordinates

_DESCRIPTION = "PyTorch's lite interpreter with the operators of chosen models"
_POM = """\
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="http://maven.apache.org/POM/4.0.0 https://maven.apache.org/xsd/maven-4.0.0.xsd">
  <!-- do_not_remove: published-with-gradle-metadata -->
  <modelVersion>4.0.0</modelVersion>
  <groupId>{group}</groupId>
  <artifactId>{artifact}</artifactId>
  <version>{version}</version>
  <packaging>aar</packaging>
  <name>{artifact}</name>
  <description>{description}</description>
  <url>https://pytorch.org</url>
  <licenses>
    <license>
      <name>BSD-3-Clause</name>
      <comments>and those of the sources it was built from: torchlite/licenses in the AAR</comments>
    </license>
  </licenses>
</project>
"""
_VERSIONS = """\
<?xml version="1.0" encoding="UTF-8"?>
<metadata>
  <groupId>{group}</groupId>
  <artifactId>{artifact}</artifactId>
  <versioning>
    <latest>{latest}</latest>
    <release>{latest}</release>
    <versions>
{versions}
    </versions>
  </versioning>
</metadata>
"""
# Those that the maven-publish plugin of Gradle writes.
_DIGESTS = ("md5", "sha1", "sha256", "sha512")
_REPLACES = (ARTIFACT, "pytorch_android_torchvision_lite")
"""Artifacts of `GROUP` that hold the same classes; Gradle then names both, where it would find a
class twice."""
_LIBRARY = {
    "org.gradle.category": "library",
    "org.gradle.dependency.bundling": "external",
    "org.gradle.libraryelements": "aar",
}
_DOCUMENTATION = {
    "org.gradle.category": "documentation",
    "org.gradle.dependency.bundling": "external",
    "org.gradle.usage": "java-runtime",
}


def render_pom(coordinates: Coordinates) -> str:
    """Returns the POM; a comment in it tells Gradle to read the module metadata instead."""
    return _POM.format(description=_DESCRIPTION, **_escaped(coordinates))


def render_module(coordinates: Coordinates, folder: Path) -> str:
    """Returns Gradle module metadata 1.1 of the AAR and the jars in `folder`.

    The format and its attributes: https://github.com/gradle/gradle, platforms/documentation,
    gradle-module-metadata-1.1-specification.md; the variants are those that the Android Gradle
    plugin publishes.
    """
    aar, sources, javadoc = (
        _describe(folder / f"{coordinates.stem}{end}")
        for end in (".aar", "-sources.jar", "-javadoc.jar")
    )
    # Sources and documentation may stand beside those of others; only classes must not come twice.
    provided = {"capabilities": _capabilities(coordinates)}
    variants = [
        _variant("apiElements", _LIBRARY | {"org.gradle.usage": "java-api"}, aar) | provided,
        _variant("runtimeElements", _LIBRARY | {"org.gradle.usage": "java-runtime"}, aar)
        | provided,
        _variant("sourcesElements", _DOCUMENTATION | {"org.gradle.docstype": "sources"}, sources),
        _variant("javadocElements", _DOCUMENTATION | {"org.gradle.docstype": "javadoc"}, javadoc),
    ]
    module = {
        "formatVersion": "1.1",
        "component": {
            "group": coordinates.group,
            "module": coordinates.artifact,
            "version": coordinates.version,
            "attributes": {"org.gradle.status": "release"},
        },
        "variants": variants,
    }
    return json.dumps(module, indent=2) + "\n"


def render_versions(coordinates: Coordinates, versions: Iterable[str]) -> str:
    """Returns `maven-metadata.xml` of an artifact with these versions, oldest first.

    It names no time of the last update, which is optional.
    """
    # The last one becomes the latest and the release.
    listed = sorted(versions, key=_order)
    lines = "\n".join(f"      <version>{escape(version)}</version>" for version in listed)
    return _VERSIONS.format(
        **(_escaped(coordinates) | {"latest": escape(listed[-1]), "versions": lines})
    )


def digest(content: bytes) -> dict[str, str]:
    """Returns ending of a checksum file -> its text."""
    return {
        # MD5 and SHA-1 find damage only, and a system may forbid them for security.
        name: hashlib.new(name, content, usedforsecurity=False).hexdigest()
        for name in _DIGESTS
    }


def _describe(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {"name": path.name, "url": path.name, "size": len(content), **digest(content)}


def _variant(
    name: str, attributes: Mapping[str, str], file: Mapping[str, object]
) -> dict[str, object]:
    return {"name": name, "attributes": dict(sorted(attributes.items())), "files": [file]}


def _capabilities(coordinates: Coordinates) -> list[dict[str, str]]:
    names = {(coordinates.group, coordinates.artifact), *((GROUP, name) for name in _REPLACES)}
    return [
        {"group": group, "name": name, "version": coordinates.version}
        for group, name in sorted(names)
    ]


def _order(version: str) -> list[tuple[int, int, str]]:
    """Numbers by value and behind words; `1.0-rc` is before `1.0`, `1.0-1` behind: as in Gradle."""
    parts = re.split(r"[._+-]", version)
    # Numbers are compared as numbers, and all of them come after words.
    order = [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]
    # The end counts as a number below zero: behind a word, and before any number.
    return [*order, (1, -1, "")]


def _escaped(coordinates: Coordinates) -> dict[str, str]:
    return {
        "group": escape(coordinates.group),
        "artifact": escape(coordinates.artifact),
        "version": escape(coordinates.version),
    }
