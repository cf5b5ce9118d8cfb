"""Writes the software bill of materials of a package: CycloneDX 1.6, as JSON.

The same package gives the same bytes: the document has no time, and its serial number is a digest
of everything else (https://cyclonedx.org/docs/1.6/json/).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from builder.core.components import BUILDER, Component
from builder.core.manifest import Manifest, render_json

if TYPE_CHECKING:
    from cyclonedx.model import ExternalReference, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component as Entry
    from cyclonedx.model.license import License
    from packageurl import PackageURL

SBOM = "sbom.cdx.json"
"""A file name that tools recognise (https://github.com/CycloneDX/specification, file names)."""
_SERIALS = uuid.UUID("5b9ac3f0-6a43-5d6b-9c39-c1b9f4e4d3a7")
"""Namespace of the serial numbers (RFC 9562, version 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The package that the bill of materials describes."""

    kind: str
    """Type of the package URL: `maven`, `cocoapods` or `generic`."""
    name: str
    version: str
    group: str = ""
    qualifiers: Mapping[str, str] = field(default_factory=dict)
    """Qualifiers of the package URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedFile:
    """A library or program in the package."""

    path: str
    """Path in the package, POSIX."""
    sha256: str
    components: tuple[Component, ...]
    """The components in the file."""
    manifests: tuple[Manifest, ...] = ()
    """The manifests of the runtimes in the file."""


def render_sbom(subject: Subject, files: Iterable[PackagedFile]) -> str:
    """Returns the bill of materials of a package with `files`, with sorted keys and a newline."""
    from cyclonedx.output.json import JsonV1Dot6

    bom = _make_bom(subject, tuple(files))
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    # The library adds the time and a random serial number, which would change the bytes.
    document["metadata"].pop("timestamp", None)
    document.pop("serialNumber", None)
    document["serialNumber"] = uuid.uuid5(_SERIALS, render_json(document)).urn
    return render_json(document)


def _make_bom(subject: Subject, files: tuple[PackagedFile, ...]) -> Bom:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component as Entry
    from cyclonedx.model.component import ComponentType
    from cyclonedx.model.tool import ToolRepository

    parts = {component: _list(component) for file in files for component in file.components}
    listed = [(_list_file(file), [parts[one] for one in file.components]) for file in files]
    package = _describe(subject)
    tool = Entry(
        type=ComponentType.APPLICATION,
        name=BUILDER.name,
        version=BUILDER.version,
        licenses=_name_licence(BUILDER.licence),
    )
    bom = Bom(
        metadata=BomMetaData(component=package, tools=ToolRepository(components=[tool])),
        components=[*parts.values(), *(entry for entry, _ in listed)],
    )
    bom.register_dependency(package, [*(entry for entry, _ in listed), *parts.values()])
    for entry, needed in listed:
        bom.register_dependency(entry, needed)
    # In CycloneDX, the dependencies of a component without an entry are unknown.
    for part in parts.values():
        bom.register_dependency(part)
    return bom


def _describe(subject: Subject) -> Entry:
    from cyclonedx.model.component import Component as Entry
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    url = PackageURL(
        type=subject.kind,
        namespace=subject.group or None,
        name=subject.name,
        version=subject.version,
        qualifiers=dict(subject.qualifiers),
    )
    return Entry(
        type=ComponentType.LIBRARY,
        bom_ref=url.to_string(),
        group=subject.group or None,
        name=subject.name,
        version=subject.version,
        purl=url,
    )


def _list_file(file: PackagedFile) -> Entry:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component as Entry
    from cyclonedx.model.component import ComponentType

    return Entry(
        type=ComponentType.FILE,
        bom_ref=f"file:{file.path}",
        name=file.path,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
        properties=[one for manifest in file.manifests for one in _list_properties(manifest)],
    )


def _list_properties(manifest: Manifest) -> list[Property]:
    from cyclonedx.model import Property

    properties = [("abi", manifest.abi), ("plan", manifest.plan_key)]
    properties += [("source-digest", manifest.source_digest)]
    properties += [("toolchain", tool) for tool in manifest.toolchain]
    return [Property(name=f"builder:{name}", value=value) for name, value in properties]


def _list(component: Component) -> Entry:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component as Entry
    from cyclonedx.model.component import ComponentType

    url, digest, archive = name_component(component), component.sha256, component.archive
    return Entry(
        type=ComponentType.LIBRARY,
        bom_ref=url.to_string(),
        group=component.group or None,
        name=component.name,
        version=component.version or None,
        licenses=_name_licence(component.licence),
        purl=url,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else None,
        external_references=_refer(component),
        properties=[Property(name="builder:archive", value=archive)] if archive else None,
    )


def name_component(component: Component) -> PackageURL:
    """Returns the package URL of a component: one for GitHub with the commit, or a generic one.

    The types are defined at https://github.com/package-url/purl-spec.
    """
    from packageurl import PackageURL

    github = component.github
    if github:
        version = component.commit or component.version
        # The specification asks for lower case: names on GitHub do not depend on it.
        return PackageURL("github", github[0].lower(), github[1].lower(), version or None)
    qualifiers = {}
    if component.sha256:
        qualifiers["checksum"] = f"sha256:{component.sha256}"
    if component.url:
        commit = f"@{component.commit}" if component.commit else ""
        qualifiers["vcs_url"] = f"git+{component.url}{commit}"
    return PackageURL(
        "generic", component.group or None, component.name, component.version or None, qualifiers
    )


def _name_licence(expression: str) -> list[License]:
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression

    if not expression:
        return []
    is_single = " " not in expression
    return [DisjunctiveLicense(id=expression) if is_single else LicenseExpression(expression)]


def _refer(component: Component) -> list[ExternalReference]:
    from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri

    if not component.url:
        return []
    commit = f"commit {component.commit}" if component.commit else None
    kind = ExternalReferenceType.VCS
    return [ExternalReference(type=kind, url=XsUri(component.url), comment=commit)]
