"""An AAR built with an NDK, and its libraries run by an Android system's own loader.

BUILDER_ANDROID_ROOT names the root of a system image, with /system/bin/linker and the libraries in
/system/lib; programs for its CPU run there under QEMU.
"""

import json
import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest

from builder.platforms.android.ndk import locate_ndk
from builder.system.folders import cache_folder
from builder.system.process import Runner

from .conftest import HERE, read_plan, run_builder

pytestmark = [pytest.mark.ndk, pytest.mark.jdk, pytest.mark.torch]

ABIS = ("arm64-v8a", "armeabi-v7a")
QEMU = {"arm64-v8a": "qemu-aarch64", "armeabi-v7a": "qemu-arm"}
LEFT_OUT = re.compile(
    r"_ZNSt6__ndk1(?:\d+(?:money|time_|messages)\w*|\d+(?:collate|ctype|num\w+)Iw\w*|7codecvtID\w*)2idE"
)
EXPORTED = re.compile(r" GLOBAL \s*\w+\s+\d+ (\S+?)(?:@|$)", re.MULTILINE)


@pytest.fixture(scope="module")
def packed(models, tmp_path_factory):
    """What `builder build` says of an AAR for two ABIs, with the model in its assets."""
    out = tmp_path_factory.mktemp("android out")
    model = models["mobilenet_v2"]
    abis = (word for abi in ABIS for word in ("--abi", abi))
    said = run_builder("build", model, *abis, "-o", out, "--asset", model, "--json")
    return {"out": out, **json.loads(said.stdout)}


def read_aar(packed):
    return zipfile.ZipFile(packed["aar"]["path"])


def test_the_aar_has_a_library_for_each_abi_and_the_model(packed):
    with read_aar(packed) as aar:
        names = aar.namelist()
        manifest = json.loads(aar.read("torchlite/manifest.json"))
    for abi in ABIS:
        assert f"jni/{abi}/libpytorch_jni_lite.so" in names
        assert manifest["libraries"][abi]["runtime"]["operators"]
    assert {"AndroidManifest.xml", "classes.jar", "proguard.txt", "R.txt"} <= set(names)
    assert "assets/mobilenet_v2.ptl" in names


def test_every_rule_was_checked_and_kept(packed):
    path = packed["aar"]["path"]
    said = run_builder("check", path, "--ndk", locate_ndk(Runner.inherit()).root, "--json")
    report = json.loads(said.stdout)
    assert report["findings"] == []
    assert len(report["files"]) == len(ABIS)
    wrong = run_builder("check", path, "--page-size", "65536", check=False)
    assert wrong.returncode == 8  # so the rules can be broken


@pytest.mark.parametrize("abi", ABIS)
def test_one_symbol_is_exported(packed, abi, tmp_path):
    with read_aar(packed) as aar:
        library = aar.extract(f"jni/{abi}/libpytorch_jni_lite.so", tmp_path)
    said = subprocess.run(
        ["readelf", "--dyn-syms", "--wide", library], capture_output=True, text=True, check=True
    )
    assert EXPORTED.findall(said.stdout) == ["JNI_OnLoad"]


def test_symbols_are_those_of_the_libraries_by_build_id(packed, tmp_path):
    aar = Path(packed["aar"]["path"])
    (symbols,) = aar.parent.glob("*-native-debug-symbols.zip")
    found = {
        abi: (
            read_build_id(aar, f"jni/{abi}/libpytorch_jni_lite.so", tmp_path / "stripped"),
            read_build_id(symbols, f"{abi}/libpytorch_jni_lite.so", tmp_path / "whole"),
        )
        for abi in ABIS
    }
    assert all(stripped == whole for stripped, whole in found.values())
    assert len(set(found.values())) == len(ABIS)


def read_build_id(archive, name, folder):
    with zipfile.ZipFile(archive) as opened:
        library = opened.extract(name, folder)
    said = subprocess.run(["readelf", "-n", library], capture_output=True, text=True, check=True)
    return re.search(r"Build ID: ([0-9a-f]{40})", said.stdout)[1]


def test_no_unit_names_a_facet_that_small_libcxx_leaves_out(packed, models):
    plan = read_plan(models["mobilenet_v2"], "--abi", ABIS[0])
    (folder,) = (cache_folder() / "native").glob(f"*/plans/{plan['key']}")
    units = [str(path) for path in (folder.parent.parent / "objects").rglob("*.o")]
    nm = locate_ndk(Runner.inherit()).compilers / "bin/llvm-nm"
    named = subprocess.run([nm, "-u", *units], capture_output=True, text=True, check=True).stdout
    assert "_ZNSt6__ndk17collateIcE2idE" in named  # a facet that stays; so facets are found
    assert LEFT_OUT.findall(named) == []


def test_the_model_is_one_that_the_aar_can_run(packed, models):
    run_builder("check", models["mobilenet_v2"], packed["aar"]["path"])
    assert (
        run_builder("check", models["scaling"], packed["aar"]["path"], check=False).returncode == 8
    )


@pytest.mark.parametrize("abi", ABIS)
@pytest.mark.androidroot
def test_it_gives_torchs_numbers_on_androids_loader(packed, models, abi):
    via = f"{QEMU[abi]} -L {os.environ['BUILDER_ANDROID_ROOT']}"
    runtime = packed["out"] / abi
    said = run_builder(
        "verify", models["mobilenet_v2"], "--runtime", runtime, "--via", via, "--json"
    )
    assert json.loads(said.stdout)["ok"]


@pytest.mark.parametrize("abi", ABIS)
@pytest.mark.androidroot
def test_a_quantised_model_gives_torchs_numbers_there(tmp_path, abi):
    model = tmp_path / "quantised.ptl"
    run_builder("export", "models:quantised", "--shape", "1,3,16,16", "-o", model)
    run_builder("build", model, "--abi", abi, "-o", tmp_path / "out")
    verify_on_android(model, tmp_path / "out" / abi)


@pytest.mark.androidroot
def test_a_shared_cxx_library_comes_along_without_its_symbols(models, tmp_path):
    model = models["identity"]
    asked = ("--abi", ABIS[0], "--stl", "c++_shared", "-o", tmp_path, "--json")
    aar = Path(json.loads(run_builder("build", model, *asked).stdout)["aar"]["path"])
    with zipfile.ZipFile(aar) as archive:
        carried = archive.read(f"jni/{ABIS[0]}/libc++_shared.so")
        ours = archive.extract(f"jni/{ABIS[0]}/libpytorch_jni_lite.so", tmp_path)
    (symbols,) = aar.parent.glob("*-native-debug-symbols.zip")
    with zipfile.ZipFile(symbols) as archive:
        assert len(archive.read(f"{ABIS[0]}/libc++_shared.so")) > len(carried)
    said = subprocess.run(["readelf", "-d", ours], capture_output=True, text=True, check=True)
    assert "[libc++_shared.so]" in said.stdout
    verify_on_android(model, tmp_path / ABIS[0])


@pytest.mark.androidroot
def test_packed_relocations_are_what_the_loader_of_that_level_reads(models, tmp_path):
    """Those of API level 23; the system's root has to be as new."""
    model = models["identity"]
    run_builder("build", model, "--abi", ABIS[0], "--min-api", "23", "-o", tmp_path)
    library = tmp_path / ABIS[0] / "lib/libtorchlite.so"
    said = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True)
    assert "ANDROID_RELA" in said.stdout or "0x0000000060000011" in said.stdout
    verify_on_android(model, tmp_path / ABIS[0])


def verify_on_android(model, runtime):
    via = f"{QEMU[runtime.name]} -L {os.environ['BUILDER_ANDROID_ROOT']}"
    said = run_builder("verify", model, "--runtime", runtime, "--via", via, "--json")
    assert all(output["max_relative"] <= 1e-4 for output in json.loads(said.stdout)["outputs"])


@pytest.mark.androidroot
def test_a_c_program_uses_what_prefab_offers(models, tmp_path):
    out = tmp_path / "out"
    said = run_builder(
        *("build", models["identity"], "--abi", ABIS[0], "--prefab", "-o", out, "--json")
    )
    with zipfile.ZipFile(json.loads(said.stdout)["aar"]["path"]) as aar:
        aar.extractall(tmp_path / "aar")
    offered = tmp_path / "aar/prefab/modules/torchlite"
    library = offered / f"libs/android.{ABIS[0]}/libpytorch_jni_lite.so"
    compilers = locate_ndk(Runner.inherit()).compilers
    stubs = tmp_path / "stubs"  # for what a system without its Java half lacks; nothing calls it
    stubs.mkdir()
    listed = compilers / "sysroot/usr/lib/aarch64-linux-android/21"
    (stubs / "libandroid.so").symlink_to(listed / "libandroid.so")
    program = tmp_path / "consumer"
    flags = ("--target=aarch64-linux-android21", "-fuse-ld=lld", "-pie")
    sources = (f"-I{offered / 'include'}", HERE / "consumer.c", library)
    subprocess.run([compilers / "bin/clang", *flags, *sources, "-o", program], check=True)
    root = os.environ["BUILDER_ANDROID_ROOT"]
    libraries = f"LD_LIBRARY_PATH={library.parent}:{stubs}"
    command = (QEMU[ABIS[0]], "-L", root, "-E", libraries, program, models["identity"])
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "2.6.0\n"), ran.stderr


def test_the_same_bytes_come_again(packed, models, tmp_path):
    abis = (word for abi in ABIS for word in ("--abi", abi))
    model = models["mobilenet_v2"]
    again = run_builder("build", model, *abis, "-o", tmp_path, "--asset", model, "--json")
    first, second = (Path(said["aar"]["path"]) for said in (packed, json.loads(again.stdout)))
    assert first.read_bytes() == second.read_bytes()


def test_java_classes_are_java_8s(packed, tmp_path):
    with read_aar(packed) as aar, zipfile.ZipFile(aar.extract("classes.jar", tmp_path)) as jar:
        heads = {jar.read(name)[:8] for name in jar.namelist() if name.endswith(".class")}
    assert {head[6:] for head in heads} == {b"\x00\x34"}  # class file version 52
