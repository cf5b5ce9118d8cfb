from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from samples import COMPONENTS, make_link, make_manifest

from builder import __version__
from builder.core.artifacts import CarriedLibrary, LinkResult, OperatorPrice, SizeReport
from builder.core.runtime_manifest import parse_manifest
from builder.errors import PackagingError
from builder.packaging import runtime_folder as linux
from builder.packaging.result_folder import MANIFEST, is_whole
from builder.packaging.runtime_folder import (
    REFERENCES,
    OtherFile,
    parse_size_report,
    render_size_report,
    write_package,
)
from builder.packaging.sbom import SBOM
from builder.system.files import digest_file
from builder.system.folders import data_folder

SIZE = SizeReport(
    file=7,
    compressed=3,
    sections={".text": 7},
    parts={"c10": 7},
    units={"c10/a.cpp": 7},
    operators={"aten::relu": OperatorPrice(exclusive=2, inclusive=5, models=("m.ptl",))},
)
GOLDEN = Path(__file__).parents[2] / "golden"
LISTING = GOLDEN / "package.txt"
SBOM_FILE = GOLDEN / "sbom/linux.json"


@pytest.fixture
def linked(tmp_path):
    work = tmp_path / "work"
    for name, text in {
        "libtorchlite.so": "library",
        "torchlite-run": "runner",
        "LICENSE of c10": "licence",
    }.items():
        path = work / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return make_link(work)


def package(root: Path, linked: LinkResult, **changes: object):
    values = {
        "manifest": make_manifest(),
        "size": SIZE,
        "references": b"graph",
        "operator_list": "operators: {}\n",
        "cmake": data_folder("cmake"),
        "licences": {"c10": linked.library.parent / "LICENSE of c10"},
        "components": COMPONENTS,
    }
    return write_package(root, linked, **{**values, **changes})


def files(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        for path in root.rglob("*")
        if path.is_file()
    }


def read_needs(made) -> dict[str, list[str]]:
    dependencies = json.loads((made.root / SBOM).read_text())["dependencies"]
    return {entry["ref"]: entry.get("dependsOn", []) for entry in dependencies}


def test_other_files_are_in_the_folder_and_libraries_in_its_bill_of_materials(linked, tmp_path):
    library, jar = tmp_path / "libjni.so", tmp_path / "a.jar"
    library.write_text("native methods")
    jar.write_text("classes")
    others = [
        OtherFile(path="lib/libjni.so", file=library, components=COMPONENTS),
        OtherFile(path="share/java/a.jar", file=jar, components=()),
    ]
    made = package(tmp_path / "out", linked, others=others)
    found = files(made.root)
    assert found["lib/libjni.so"] == (b"native methods", 0o755)
    assert found["share/java/a.jar"] == (b"classes", 0o644)
    assert {"lib/libjni.so", "share/java/a.jar"} <= set(
        parse_manifest(made.manifest.read_text()).files
    )
    assert is_whole(made.root, MANIFEST, digest_file(made.manifest))
    listed = {
        one["name"]
        for one in json.loads((made.root / SBOM).read_text())["components"]
        if one["type"] == "file"
    }
    assert "lib/libjni.so" in listed
    assert "share/java/a.jar" not in listed


def test_what_a_package_has(linked, tmp_path, golden):
    made = package(tmp_path / "out dir/linux-x86_64", linked)
    listed = files(made.root)
    lines = (f"{'x' if mode & 0o100 else '-'} {name}\n" for name, (_, mode) in listed.items())
    golden(LISTING, "".join(sorted(lines)))
    assert listed["lib/libtorchlite.so"][0] == b"library"
    assert made.library.read_text() == "library"
    assert made.runner.read_text() == "runner"
    assert made.manifest.is_file()


def test_the_manifest_lists_every_other_file_as_it_is(linked, tmp_path):
    made = package(tmp_path / "out", linked)
    manifest = parse_manifest(made.manifest.read_text())
    assert set(manifest.files) == set(files(made.root)) - {"manifest.json"}
    for name, file in manifest.files.items():
        path = made.root / name
        assert (file.size, file.sha256) == (path.stat().st_size, digest_file(path))


def test_the_bill_of_materials_is_as_recorded(linked, tmp_path, golden):
    made = package(tmp_path / "out", linked)
    golden(SBOM_FILE, (made.root / SBOM).read_text())


def test_the_runner_consists_of_builders_own_unit_and_the_compilers_libraries(linked, tmp_path):
    made = package(tmp_path / "out", linked)
    needs = read_needs(made)
    own, shared = f"pkg:generic/builder@{__version__}", "pkg:generic/gcc/libstdc%2B%2B@20220819"
    assert needs["file:bin/torchlite-run"] == [own, shared]
    assert len(needs["file:lib/libtorchlite.so"]) == len(COMPONENTS)


def test_a_library_with_a_version_has_a_link_for_linkers(linked, tmp_path):
    library = linked.library.rename(linked.library.with_name("libtorchlite.so.1"))
    made = package(tmp_path / "out", replace(linked, library=library, link_name="libtorchlite.so"))
    assert made.library == made.root / "lib/libtorchlite.so.1"
    link = made.root / "lib/libtorchlite.so"
    assert (link.is_symlink(), link.read_text()) == (True, "library")
    manifest = parse_manifest(made.manifest.read_text())
    assert manifest.links == {"lib/libtorchlite.so": "libtorchlite.so.1"}
    assert "lib/libtorchlite.so.1" in manifest.files
    assert "lib/libtorchlite.so" not in manifest.files
    assert (made.root / "lib/pkgconfig/torchlite.pc").is_file()
    assert is_whole(made.root, MANIFEST, digest_file(made.manifest))


def test_a_package_without_a_runner_lists_none(linked, tmp_path):
    made = package(tmp_path / "out", replace(linked, runner=None))
    assert "torchlite-run" not in (made.root / SBOM).read_text()


def test_two_packagings_are_byte_identical(linked, tmp_path):
    one = package(tmp_path / "one", linked)
    other = package(tmp_path / "deep er/other", linked)
    assert files(one.root) == files(other.root)
    assert str(tmp_path) not in one.manifest.read_text()


def test_a_package_is_replaced_as_a_whole(linked, tmp_path):
    root = tmp_path / "out"
    package(root, linked)
    made = package(root, replace(linked, runner=None))
    assert not (root / "bin/torchlite-run").exists()
    assert parse_manifest(made.manifest.read_text()).files
    assert {path.name for path in tmp_path.iterdir()} == {"work", "out"}


@pytest.mark.parametrize(
    "step", ["render_size_report", "render_sbom", "_list_files", "write_atomically"]
)
def test_a_failure_leaves_the_old_package(linked, tmp_path, monkeypatch, step):
    root = tmp_path / "out"
    before = files(package(root, linked).root)
    linked.library.write_text("another library")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(linux, step, fail)
    with pytest.raises(PackagingError, match="no space is left") as caught:
        package(root, linked)
    assert str(root.parent) in caught.value.message, "the disk that is full, not the cache"
    assert str(linked.library) not in caught.value.message
    assert "output" in caught.value.hint
    assert caught.value.exit_code == 7
    assert files(root) == before
    assert {path.name for path in tmp_path.iterdir()} == {"work", "out"}


def test_a_first_failure_leaves_nothing(linked, tmp_path):
    with pytest.raises(PackagingError, match="gone"):
        package(tmp_path / "out", linked, licences={"gone": tmp_path / "gone"})
    assert {path.name for path in tmp_path.iterdir()} == {"work"}


def test_a_size_report_is_read_as_it_was_written():
    assert parse_size_report(render_size_report(SIZE)) == SIZE


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "null", "{}", "{", '"file"'),
        json.dumps({"file": 1}),
    ],
)
def test_other_texts_are_no_size_reports(text):
    with pytest.raises(ValueError):  # noqa: PT011 - json has its own messages
        parse_size_report(text)


@pytest.mark.parametrize("field", ["file", "compressed", "sections", "parts", "units", "operators"])
def test_fields_of_another_type_are_no_size_report(field):
    value = {**json.loads(render_size_report(SIZE)), field: "seven"}
    with pytest.raises(ValueError, match=field):
        parse_size_report(json.dumps(value))


@pytest.mark.parametrize(
    "price",
    [
        None,
        5,
        {},
        {"exclusive": 1, "inclusive": 2},
        {"exclusive": "1", "inclusive": 2, "models": []},
    ],
)
def test_a_damaged_price_is_refused(price):
    value = {**json.loads(render_size_report(SIZE)), "operators": {"aten::relu": price}}
    with pytest.raises(ValueError, match=r"size report: (operators\[...\]|a size is larger)"):
        parse_size_report(json.dumps(value))


def test_without_a_reference_graph_there_is_no_file_of_it(linked, tmp_path):
    assert (package(tmp_path / "a", linked).root / REFERENCES).read_bytes() == b"graph"
    assert not (package(tmp_path / "b", linked, references=None).root / REFERENCES).exists()


def test_a_library_that_the_runtime_needs_lies_beside_it(linked, tmp_path):
    stripped, whole = tmp_path / "libc++_shared.so", tmp_path / "whole.so"
    stripped.write_text("C++ runtime")
    carried = CarriedLibrary(library=stripped, unstripped=whole)
    made = package(
        tmp_path / "out",
        replace(linked, carried=(carried,)),
        components=COMPONENTS[2:],
        carried_components=COMPONENTS[1:2],
    )
    needs = read_needs(made)
    shared = "pkg:generic/gcc/libstdc%2B%2B@20220819"
    assert needs[f"file:lib/{stripped.name}"] == [shared]
    assert needs["file:bin/torchlite-run"] == [f"pkg:generic/builder@{__version__}", shared]
    assert shared in needs["file:lib/libtorchlite.so"]
    assert (made.root / "lib/libc++_shared.so").read_text() == "C++ runtime"
    manifest = parse_manifest(made.manifest.read_text())
    assert "lib/libc++_shared.so" in manifest.files


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"file":' * 100_000, "[" + "[]," * 2_000_000 + "0]"]
)
def test_deep_and_endless_texts_are_no_size_reports(text):
    with pytest.raises(ValueError, match=r"size report: "):
        parse_size_report(text)


@pytest.mark.parametrize("size", [10**400, 1 << 50, -1, True, 1.5, None, "1", [1]])
@pytest.mark.parametrize("field", ["file", "sections"])
def test_sizes_that_are_none_are_refused(field, size):
    value = json.loads(render_size_report(SIZE))
    value[field] = {".text": size} if field == "sections" else size
    with pytest.raises(
        ValueError, match=r"a size is (larger|below 0)|(\w+|sections\[...\]): Expected `int`"
    ):
        parse_size_report(json.dumps(value))


@pytest.mark.parametrize(
    "price",
    [
        {"exclusive": 10**400, "inclusive": 2, "models": []},
        {"exclusive": True, "inclusive": 2, "models": []},
        {"exclusive": 1, "inclusive": 2, "models": [1]},
        {"exclusive": 1, "inclusive": 2, "models": "m"},
    ],
)
def test_prices_of_other_types_are_refused(price):
    value = {**json.loads(render_size_report(SIZE)), "operators": {"aten::relu": price}}
    with pytest.raises(ValueError, match=r"size report: (operators\[...\]|a size is larger)"):
        parse_size_report(json.dumps(value))
