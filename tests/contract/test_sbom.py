"""Bills of materials, held against CycloneDX's own schema by the library's strict validator."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import android_samples
import apple_samples
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from samples import COMPONENTS, make_manifest, make_toolchain

from builder.core.components import Component, describe_sources
from builder.core.toolchain import GnuLibraries
from builder.packaging.runtimes import _load, name_runtimes
from builder.packaging.sbom import render_sbom
from builder.packaging.sbom_subject import PackagedFile, Subject
from builder.platforms.android import aar as aars
from builder.platforms.android.manifest import AarManifest
from builder.platforms.android.measure import measure_aar
from builder.platforms.android.repository import write_aar
from builder.platforms.apple import xcframework as xcframeworks
from builder.platforms.apple.repository import write_apple
from builder.platforms.package_manifest import SBOM
from builder.sources.lockfile import read_lock
from builder.system.zips import open_zip

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
SUBJECT = Subject(kind="generic", name="torchlite", version="2.6.0")
RELEASE = Path(__file__).parents[2] / "third_party/2.6.0"
GNU = make_toolchain(gnu=GnuLibraries(libstdcxx=20220819, glibc=(2, 36)))


def refuse_invalid(text: str) -> None:
    error = VALIDATOR.validate_str(text)
    assert error is None, error


def list_hashes(text: str) -> dict[str, str]:
    return {
        entry["name"]: entry["hashes"][0]["content"]
        for entry in json.loads(text)["components"]
        if entry["type"] == "file"
    }


def list_everything() -> tuple[Component, ...]:
    """Returns every source and every library that can be in a bill."""
    pins = read_lock(RELEASE).pins
    places = [f"{pin.path}/a.h" for pin in pins]
    places += [f"{one.path}/a.h" for pin in pins for one in pin.bundled]
    archives = [file for entry in _load() for file in entry.files]
    return (*describe_sources(pins, places), *name_runtimes(archives, GNU))


def test_every_pin_and_every_library_gives_a_valid_bill():
    everything = list_everything()
    assert len(everything) >= 24
    file = PackagedFile(
        path="lib/a.so", sha256="a" * 64, components=everything, manifests=(make_manifest(),)
    )
    text = render_sbom(SUBJECT, [file])
    refuse_invalid(text)
    assert len(json.loads(text)["components"]) == 1 + len(everything)


@pytest.mark.parametrize("name", ["libstdc++", "ä ö", "a<b>&\"'", "a\\b", "%00", "a\nb"])
def test_odd_names_are_valid_too(name):
    odd = Component(name=name, version=name, group=name, url="https://example.org/a b")
    refuse_invalid(
        render_sbom(
            replace(SUBJECT, name=name),
            [PackagedFile(path=f"lib/{name}", sha256="a" * 64, components=(odd,))],
        )
    )


def test_of_nothing_but_a_package_the_bill_is_valid():
    refuse_invalid(render_sbom(SUBJECT, []))


@pytest.mark.parametrize(
    "change",
    [
        {"bomFormat": "SPDX"},
        {"surprise": 1},
        {"serialNumber": "7"},
        {"components": [{"type": "thing", "name": "a"}]},
        {
            "components": [
                {"type": "library", "name": "a", "hashes": [{"alg": "x", "content": "y"}]}
            ]
        },
        {
            "components": [
                {"type": "library", "name": "a", "licenses": [{"license": {"id": "BSD"}}]}
            ]
        },
    ],
)
def test_a_bill_that_is_none_would_be_seen(change):
    document = json.loads(render_sbom(SUBJECT, []))
    assert VALIDATOR.validate_str(json.dumps({**document, **change})) is not None


def test_an_aar_has_a_valid_bill_that_its_manifest_lists(tmp_path):
    package = android_samples.make_package(tmp_path / "work")
    written = write_aar(package, tmp_path / "out")
    with open_zip(written.aar) as archive:
        text = archive.read(SBOM).decode()
        manifest = aars.find_aar_manifest(archive)
        assert list(aars.check_contents(archive, manifest)) == []
        (finding,) = aars.check_contents(archive, without(manifest, SBOM))
        assert (finding.file, finding.found) == (SBOM, "not listed")
        digests = {path: file.sha256 for path, file in manifest.files.items()}
    refuse_invalid(text)
    listed = list_hashes(text)
    assert listed == {path: digests[path] for path in listed}
    assert {path.split("/")[1] for path in listed} == {"armeabi-v7a", "x86_64"}
    beside = written.folder / f"{package.coordinates.stem}-cyclonedx.json"
    assert beside.read_text() == text
    recorded = beside.with_name(f"{beside.name}.sha256").read_text()
    assert recorded == hashlib.sha256(text.encode()).hexdigest()
    assert set(measure_aar(written.aar).shared) == {"classes.jar"}


def without(manifest: AarManifest, path: str) -> AarManifest:
    return replace(manifest, files={k: v for k, v in manifest.files.items() if k != path})


def test_an_xcframework_has_a_valid_bill_that_its_manifest_lists(tmp_path):
    package = apple_samples.make_package(tmp_path / "work")
    framework = write_apple(package, tmp_path / "out").framework
    text = (framework / SBOM).read_text()
    refuse_invalid(text)
    manifest = xcframeworks.find_manifest(framework)
    assert list(xcframeworks.check_contents(framework, manifest)) == []
    listed = list_hashes(text)
    assert listed == {path: manifest.files[path].sha256 for path in listed}
    assert len(listed) == 2
    (framework / SBOM).write_text(text.replace("eigen", "other"))
    (finding,) = xcframeworks.check_contents(framework, manifest)
    assert (finding.file, finding.found) == (SBOM, "changed")


@pytest.mark.parametrize(
    "golden", ["sbom/linux.json", "sbom/apple.json", "aar/sbom.cdx.json"], ids=lambda name: name
)
def test_what_is_recorded_is_valid(golden):
    text = (RELEASE.parents[1] / "tests/golden" / golden).read_text()
    refuse_invalid(text)
    names = {entry["name"] for entry in json.loads(text)["components"]}
    assert {one.name for one in COMPONENTS if not one.prebuilt} <= names
