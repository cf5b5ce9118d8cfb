from __future__ import annotations

import json
import uuid
from dataclasses import replace

import pytest
from packageurl import PackageURL
from samples import COMPONENTS, make_manifest

from builder import __version__
from builder.core.components import Component
from builder.packaging.cyclonedx_bom import name_component
from builder.packaging.sbom import render_sbom
from builder.packaging.sbom_subject import PackagedFile, Subject

SUBJECT = Subject(kind="generic", name="torchlite", version="2.6.0")
LIBRARY = PackagedFile(
    path="lib/a.so", sha256="a" * 64, components=COMPONENTS, manifests=(make_manifest(),)
)
OTHER = PackagedFile(path="lib/b.so", sha256="c" * 64, components=COMPONENTS[:1])


def parse(*files, subject=SUBJECT):
    return json.loads(render_sbom(subject, files))


def test_the_same_package_gives_the_same_bytes_in_any_order():
    turned = replace(LIBRARY, components=COMPONENTS[::-1])
    text = render_sbom(SUBJECT, [LIBRARY, OTHER])
    assert render_sbom(SUBJECT, [OTHER, turned]) == text
    assert "timestamp" not in text
    assert text.endswith("}\n")


def test_the_serial_number_is_one_of_the_contents():
    serials = [
        parse(LIBRARY)["serialNumber"],
        parse(replace(LIBRARY, sha256="b" * 64))["serialNumber"],
        parse(LIBRARY, subject=replace(SUBJECT, version="2.6.1"))["serialNumber"],
    ]
    assert len(set(serials)) == 3
    assert {uuid.UUID(serial).version for serial in serials} == {5}


def test_it_names_the_package_and_builder():
    metadata = parse(LIBRARY)["metadata"]
    (tool,) = metadata["tools"]["components"]
    assert (tool["name"], tool["version"]) == ("builder", __version__)
    assert tool["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert metadata["component"]["purl"] == "pkg:generic/torchlite@2.6.0"


def test_files_need_what_went_into_them_and_the_package_needs_all():
    needs = {
        entry["ref"]: set(entry.get("dependsOn", ()))
        for entry in parse(LIBRARY, OTHER)["dependencies"]
    }
    urls = {name_component(one).to_string() for one in COMPONENTS}
    assert needs["file:lib/a.so"] == urls
    assert needs["file:lib/b.so"] == {name_component(COMPONENTS[0]).to_string()}
    assert needs["pkg:generic/torchlite@2.6.0"] == {"file:lib/a.so", "file:lib/b.so", *urls}
    assert all(not needs[url] for url in urls)


def test_a_component_has_what_was_pinned():
    found = {entry["name"]: entry for entry in parse(LIBRARY)["components"]}
    xnnpack, eigen, qnnpack = found["xnnpack"], found["eigen"], found["qnnpack"]
    assert xnnpack["purl"] == f"pkg:github/google/xnnpack@{'4' * 40}"
    assert xnnpack["hashes"] == [{"alg": "SHA-256", "content": "9" * 64}]
    (reference,) = xnnpack["externalReferences"]
    assert reference["url"] == "https://github.com/google/XNNPACK"
    assert reference["comment"] == f"commit {'4' * 40}"
    assert xnnpack["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]
    assert eigen["licenses"] == [{"expression": "MPL-2.0 AND Apache-2.0"}]
    assert PackageURL.from_string(eigen["purl"]).qualifiers == {
        "checksum": f"sha256:{'b' * 64}",
        "vcs_url": f"git+https://gitlab.com/libeigen/eigen@{'3' * 40}",
    }
    assert "version" not in qnnpack
    assert "hashes" not in qnnpack


def test_what_is_unknown_is_left_out():
    (entry, _) = parse(replace(OTHER, components=(Component(name="libm"),)))["components"][::-1]
    assert entry == {
        "bom-ref": "pkg:generic/libm",
        "name": "libm",
        "purl": "pkg:generic/libm",
        "type": "library",
    }


ODD = ["libstdc++", "a b", "a@1", "a?b=c&d", "a#b", "100%", "%2F", "päckchen", "a:b", "<&>"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_quoted_and_read_back(name):
    component = Component(name=name, version=name, group="g h", sha256="a" * 64, url=f"x://{name}")
    text = name_component(component).to_string()
    assert text.isascii()
    assert not set(text) & set(' <>"')
    read = PackageURL.from_string(text)
    assert (read.type, read.namespace, read.name, read.version) == ("generic", "g h", name, name)
    assert read.qualifiers["vcs_url"] == f"git+x://{name}"


@pytest.mark.parametrize("name", ODD)
def test_odd_names_of_packages_and_files_do_not_run_together(name):
    subject = replace(SUBJECT, name=name, group="g", qualifiers={"abi": name})
    file = replace(OTHER, path=f"lib/{name}.so")
    document = parse(file, LIBRARY, subject=subject)
    read = PackageURL.from_string(document["metadata"]["component"]["purl"])
    assert (read.namespace, read.name, read.qualifiers["abi"]) == ("g", name, name)
    references = [entry["ref"] for entry in document["dependencies"]]
    assert len(references) == len(set(references)) == 3 + len(COMPONENTS)
