"""The bill of materials as values of the CycloneDX library, and its JSON.

`sbom` imports this module when it renders one: the library is slow to import.
"""

from __future__ import annotations

from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component as Entry
from cyclonedx.model.component import ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from builder.core.components import BUILDER, Component
from builder.core.runtime_manifest import Manifest
from builder.packaging.sbom_subject import PackagedFile, Subject


def render_bom(subject: Subject, files: tuple[PackagedFile, ...]) -> str:
    """Returns CycloneDX 1.6 as the library writes it, with the time and a random serial number."""
    return JsonV1Dot6(_make_bom(subject, files)).output_as_string()


def _make_bom(subject: Subject, files: tuple[PackagedFile, ...]) -> Bom:
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
        # A component that is in two files is listed once.
        components=[*parts.values(), *(entry for entry, _ in listed)],
    )
    # The package depends on all, each file on what is in it.
    bom.register_dependency(package, [*(entry for entry, _ in listed), *parts.values()])
    for entry, needed in listed:
        bom.register_dependency(entry, needed)
    # In CycloneDX, the dependencies of a component without an entry are unknown.
    for part in parts.values():
        bom.register_dependency(part)
    return bom


def _describe(subject: Subject) -> Entry:
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
    return Entry(
        type=ComponentType.FILE,
        bom_ref=f"file:{file.path}",
        name=file.path,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)],
        properties=[one for manifest in file.manifests for one in _list_properties(manifest)],
    )


def _list_properties(manifest: Manifest) -> list[Property]:
    properties = [("abi", manifest.abi), ("plan", manifest.plan_key)]
    properties += [("source-digest", manifest.source_digest)]
    properties += [("toolchain", tool) for tool in manifest.toolchain]
    return [Property(name=f"builder:{name}", value=value) for name, value in properties]


def _list(component: Component) -> Entry:
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
    if not expression:
        return []
    is_single = " " not in expression
    return [DisjunctiveLicense(id=expression) if is_single else LicenseExpression(expression)]


def _refer(component: Component) -> list[ExternalReference]:
    if not component.url:
        return []
    commit = f"commit {component.commit}" if component.commit else None
    kind = ExternalReferenceType.VCS
    return [ExternalReference(type=kind, url=XsUri(component.url), comment=commit)]
