"""A model in, a selective runtime out, the model run on it; with real sources and compilers."""

import json
import re
import shutil
import struct
import subprocess
from dataclasses import replace

import pytest
from elftools.elf.elffile import ELFFile

from builder.api.toolchains import locate_target, locate_toolchain
from builder.system.reference_cases import read_reference, write_reference
from builder.system.reference_headers import reference_path

from .conftest import ABI, HERE, run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]

SYSTEM_LIBRARIES = {
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
}


@pytest.mark.parametrize("name", ["mobilenet_v2", "control_flow", "identity"])
def test_the_model_gives_pytorchs_numbers_on_its_runtime(built, name):
    said = run_builder("verify", built.models[name], "--runtime", built.out, "--json")
    report = json.loads(said.stdout)
    assert report["ok"]
    assert report["outputs"]
    for output in report["outputs"]:
        assert output["max_relative"] <= 1e-4


def test_a_changed_reference_is_noticed(built, tmp_path):
    model = tmp_path / "control_flow.ptl"
    shutil.copy(built.models["control_flow"], model)
    case = read_reference(reference_path(built.models["control_flow"]))
    first = case.outputs[0]
    changed = struct.pack("<f", struct.unpack_from("<f", first.data)[0] + 1e-3) + first.data[4:]
    outputs = (replace(first, data=changed), *case.outputs[1:])
    write_reference(reference_path(model), replace(case, outputs=outputs))
    said = run_builder("verify", model, "--runtime", built.out, check=False)
    assert said.returncode == 8


def test_a_model_that_needs_more_is_refused_by_name(built):
    said = run_builder("verify", built.models["needy"], "--runtime", built.out, check=False)
    assert said.returncode == 8
    assert "aten::cumsum" in said.stderr
    assert "aten::erf" in said.stderr


def test_check_answers_without_running_anything(built):
    served = run_builder("check", built.models["mobilenet_v2"], built.out, check=False)
    assert served.returncode == 0
    refused = run_builder("check", built.models["needy"], built.out, "--json", check=False)
    assert refused.returncode == 8
    names = {obstacle["name"] for obstacle in json.loads(refused.stdout)["obstacles"]}
    assert {"aten::cumsum", "aten::erf"} <= names


def test_the_runtime_itself_refuses_by_name(built, tmp_path):
    command = [built.runner, built.models["needy"], "--output-dir", tmp_path]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 1
    assert "aten::cumsum" in said.stderr
    assert "aten::erf" in said.stderr


def test_it_serves_every_operator_it_names(built):
    said = subprocess.run([built.runner, "--operators"], capture_output=True, text=True, check=True)
    manifest = json.loads((built.root / "manifest.json").read_text())
    assert said.stdout.split() == sorted(manifest["operators"])
    wanted = run_builder("ops", *list(built.models.values())[:3], "--json")
    assert set(json.loads(wanted.stdout)["operators"]) <= set(manifest["operators"])


def test_it_exports_the_c_api_only(built):
    with built.library.open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".dynsym")
        exported = {s.name for s in symbols.iter_symbols() if s["st_shndx"] != "SHN_UNDEF"} - {""}
    header = (built.root / "include/torchlite.h").read_text()
    assert exported == set(re.findall(r"\b(torchlite_\w+)\(\s*\n?", _declarations(header)))


def _declarations(header):
    return re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)


def test_it_needs_nothing_but_the_system(built):
    for path in (built.library, built.runner):
        with path.open("rb") as stream:
            tags = ELFFile(stream).get_section_by_name(".dynamic").iter_tags()
            needed = {tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"}
        assert needed - {"libtorchlite.so.1"} <= SYSTEM_LIBRARIES


def test_no_folder_of_this_machine_is_in_it(built, tmp_path_factory):
    for path in (built.library, built.runner):
        data = path.read_bytes()
        for folder in (HERE.parent.parent, tmp_path_factory.getbasetemp(), HERE.home()):
            assert str(folder).encode() + b"/" not in data


def test_the_manifest_knows_its_files(built):
    manifest = json.loads((built.root / "manifest.json").read_text())
    assert manifest["abi"] == ABI
    for name, file in manifest["files"].items():
        assert (built.root / name).stat().st_size == file["size"]


def test_size_accounts_for_every_byte(built):
    report = json.loads(run_builder("size", built.out, "--json").stdout)["runtime"]
    assert report["file"] == built.library.stat().st_size
    for kind in ("parts", "sections", "units"):
        assert sum(report[kind].values()) == report["file"]
    assert report["parts"]["XNNPACK"] > 10_000


def test_building_again_compiles_nothing_and_gives_the_same_bytes(built, tmp_path):
    wanted = built.wanted
    said = run_builder("build", *wanted, "--abi", ABI, "-o", tmp_path, "--json")
    assert json.loads(said.stdout)["runtimes"][0]["units_compiled"] == 0
    for name in ("lib/libtorchlite.so", "bin/torchlite-run", "manifest.json"):
        assert (tmp_path / ABI / name).read_bytes() == (built.root / name).read_bytes()
    said = run_builder("build", *wanted, "--abi", ABI, "-o", tmp_path, "--json")
    assert json.loads(said.stdout)["runtimes"][0]["reused"], "now there is nothing to do"
    assert "packaging" not in said.stderr


def test_an_operator_that_does_not_exist_is_refused_with_near_names(tmp_path):
    listed = tmp_path / "ops.yaml"
    listed.write_text("- aten::adaptive_avgpool2d\n- torchvision::nms\n")
    said = run_builder("build", listed, "-o", tmp_path / "out", check=False)
    assert said.returncode == 3
    assert "did you mean aten::adaptive_avg_pool2d" in said.stderr
    # This one can be built from torchvision's sources, which nothing fetches now.
    assert "torchvision" not in said.stderr
    assert not (tmp_path / "out").exists()


def test_an_overload_that_does_not_exist_is_refused(tmp_path):
    listed = tmp_path / "ops.yaml"
    listed.write_text("- aten::keys.nosuch\n")
    said = run_builder("build", listed, "-o", tmp_path / "out", check=False)
    assert said.returncode == 3
    assert "aten::keys.nosuch" in said.stderr
    assert not (tmp_path / "out").exists()


def test_a_c_program_finds_and_uses_it_through_cmake(built, tmp_path):
    (tmp_path / "main.c").write_bytes((HERE / "consumer.c").read_bytes())
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(consumer C)\n"
        "find_package(TorchLite 1.0 REQUIRED)\nadd_executable(consumer main.c)\n"
        "target_link_libraries(consumer TorchLite::torchlite)\n"
    )
    cmake = [
        "cmake",
        "-G",
        "Ninja",
        "-S",
        tmp_path,
        "-B",
        tmp_path / "b",
        f"-DCMAKE_PREFIX_PATH={built.root}",
        f"-DCMAKE_C_COMPILER={locate_toolchain(locate_target(ABI)).cc.path}",
    ]
    subprocess.run(cmake, check=True, capture_output=True)
    subprocess.run(["cmake", "--build", tmp_path / "b"], check=True, capture_output=True)
    command = [tmp_path / "b/consumer", built.models["identity"]]
    said = subprocess.run(command, capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "2.6.0\n")
