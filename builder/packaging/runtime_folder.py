"""Writes the folder of one ABI: library, header, CMake files, runner, licences, manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from builder.core.artifacts import LinkResult, Package, SizeReport
from builder.core.components import BUILDER, Component
from builder.core.runtime_manifest import Manifest, ManifestFile
from builder.core.typed import parse_json
from builder.packaging.headers import list_headers
from builder.packaging.result_folder import MANIFEST, result_folder
from builder.packaging.sbom import SBOM, render_sbom
from builder.packaging.sbom_subject import PackagedFile, Subject
from builder.system.files import copy_file as _copy
from builder.system.files import digest_file, write_atomically

SIZE_REPORT = "share/torchlite/size.json"
REFERENCES = "share/torchlite/references.json.gz"
OPERATOR_LIST = "share/torchlite/operators.yaml"
_LIBRARIES = "lib"
_SHARED = ".so"
_MAX_SIZE = 1 << 50
"""Largest size in bytes that a report may contain; no library is larger."""
_NAME = "torchlite"
_BUILD_FILES = {
    "TorchLiteConfig.cmake": "cmake/TorchLite",
    "TorchLiteConfigVersion.cmake": "cmake/TorchLite",
    "torchlite.pc": "pkgconfig",
}
_STATIC_BUILD_FILES = {"torchlite-static.pc": "pkgconfig"}
"""Files for CMake and pkg-config -> folder below `lib`; they are for shared libraries only."""
RUNNER = "bin/torchlite-run"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherFile:
    """A file that goes into the folder beside the library and what belongs to it."""

    path: str
    """Where it goes, below the folder."""
    file: Path
    components: tuple[Component, ...]
    """Third-party components in it, and builder itself; none of what is no library."""


def write_package(
    root: Path,
    linked: LinkResult,
    *,
    manifest: Manifest,
    size: SizeReport,
    references: bytes | None,
    operator_list: str,
    cmake: Path,
    licences: Mapping[str, Path],
    components: tuple[Component, ...] = (),
    carried_components: tuple[Component, ...] = (),
    others: Sequence[OtherFile] = (),
) -> Package:
    """Writes the package to `root`, which is replaced as a whole or not at all.

    Args:
        root: the folder `out/<abi>`.
        linked: the result of the link.
        manifest: the manifest without files; this function adds them.
        size: the size report that becomes part of the package.
        references: the reference graph of the library; None when it is not known.
        operator_list: the operator list as YAML.
        cmake: builder's own `cmake` folder.
        licences: name of each source -> its licence file.
        components: third-party components in the library.
        carried_components: third-party components in the carried shared libraries.
        others: further files.

    Raises:
        ConfigurationError: `root` has something that builder did not write.
        PackagingError: the package cannot be written.
    """
    library = f"{_LIBRARIES}/{linked.library.name}"
    shared = _SHARED in linked.library.suffixes
    links = {}
    if shared and linked.link_name not in {"", linked.library.name}:
        links[f"{_LIBRARIES}/{linked.link_name}"] = linked.library.name
    # `folder` is a new one beside `root` and takes its place at the end, so a build that is killed
    # leaves the old runtime.
    with result_folder(root, MANIFEST) as folder:
        _copy(linked.library, folder / library, mode=_choose_mode(linked.library))
        for link, leads_to in links.items():
            (folder / link).symlink_to(leads_to)
        for carried in linked.carried:
            _copy(carried.library, folder / _LIBRARIES / carried.library.name, mode=0o755)
        if linked.runner is not None:
            _copy(linked.runner, folder / RUNNER, mode=0o755)
        for name, header in list_headers().items():
            _copy(header, folder / "include" / name)
        # They describe a shared library; a static one goes into an xcframework.
        files = {**(_BUILD_FILES if shared else {})}
        if linked.static is not None:
            _copy(linked.static, folder / _LIBRARIES / linked.static.name)
            files |= _STATIC_BUILD_FILES
        for name, place in files.items():
            _copy(cmake / "package" / name, folder / _LIBRARIES / place / name)
        _copy_others(others, folder)
        for name, licence in sorted(licences.items()):
            _copy(licence, folder / "share/licenses" / f"{name}.txt")
        write_atomically(folder / OPERATOR_LIST, operator_list)
        write_atomically(folder / SIZE_REPORT, render_size_report(size))
        if references is not None:
            write_atomically(folder / REFERENCES, references)
        listed_files = _list_components(linked, components, carried_components)
        listed_files |= {one.path: one.components for one in others if one.components}
        # After the files that it lists, and before the manifest, which lists it.
        write_atomically(folder / SBOM, _render_sbom(folder, manifest, listed_files))
        listed = replace(manifest, files=_list_files(folder), links=links)
        write_atomically(folder / MANIFEST, listed.to_text())
    return Package(
        root=root, library=root / library, runner=root / RUNNER, manifest=root / MANIFEST
    )


def _copy_others(others: Sequence[OtherFile], folder: Path) -> None:
    for other in others:
        _copy(other.file, folder / other.path, mode=_choose_mode(other.file))


def _choose_mode(file: Path) -> int:
    return 0o755 if _SHARED in file.suffixes else 0o644


def _list_components(
    linked: LinkResult, components: tuple[Component, ...], carried: tuple[Component, ...]
) -> dict[str, tuple[Component, ...]]:
    """Returns path -> components; the runner has only builder's code and the C++ library."""
    files = {f"{_LIBRARIES}/{linked.library.name}": (*components, *carried)}
    if linked.static is not None:
        files[f"{_LIBRARIES}/{linked.static.name}"] = components
    for shared in linked.carried:
        files[f"{_LIBRARIES}/{shared.library.name}"] = carried
    if linked.runner is not None:
        runtimes = (component for component in components if component.prebuilt)
        # The runner uses the library, and only the C++ library of the toolchain is linked into it.
        files[RUNNER] = (BUILDER, *runtimes, *carried)
    return files


def _render_sbom(
    folder: Path, manifest: Manifest, files: Mapping[str, tuple[Component, ...]]
) -> str:
    subject = Subject(
        kind="generic",
        name=_NAME,
        version=manifest.source_version,
        qualifiers={"abi": manifest.abi, "plan": manifest.plan_key},
    )
    packaged = [
        PackagedFile(
            path=path,
            sha256=digest_file(folder / path),
            components=components,
            manifests=(manifest,),
        )
        for path, components in files.items()
    ]
    return render_sbom(subject, packaged)


def render_size_report(size: SizeReport) -> str:
    """Returns the JSON text of a size report; `parse_size_report` reads it."""
    return json.dumps(asdict(size), indent=1, sort_keys=True) + "\n"


def parse_size_report(text: str) -> SizeReport:
    """Returns the size report in JSON text; ValueError for any other text."""
    report = parse_json(text, SizeReport, "size report")
    sizes = [report.file, report.compressed]
    for table in (report.sections, report.parts, report.units):
        sizes += table.values()
    if any(size < 0 for size in sizes):
        raise ValueError("size report: a size is below 0")
    for price in report.operators.values():
        sizes += (price.exclusive, price.inclusive)
    # Prices may be negative; larger numbers would only break the tables that show them.
    if any(abs(size) >= _MAX_SIZE for size in sizes):
        raise ValueError("size report: a size is larger than any library")
    return report


def _list_files(folder: Path) -> dict[str, ManifestFile]:
    return {
        path.relative_to(folder).as_posix(): ManifestFile(
            size=path.stat().st_size, sha256=digest_file(path)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
