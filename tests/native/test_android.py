"""An AAR built with an NDK, and its libraries run by the loaders of Android systems.

`android_roots` says how BUILDER_ANDROID_ROOT names the systems. BUILDER_ANDROID_STL is the C++
library to build with (`--stl`), for an NDK that lacks the usual one.
"""

import json
import os
import re
import shlex
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_D_TAG

from builder.core.targets import parse_target
from builder.core.toolchain import Stl, ToolchainOptions
from builder.platforms.android.ndk import locate_ndk
from builder.platforms.android.toolchain import locate_ndk_toolchain
from builder.system.folders import cache_folder, data_folder
from builder.system.process import Runner

from .android_roots import list_roots
from .conftest import HERE, read_plan, run_builder
from .devices import make_adb

pytestmark = [pytest.mark.ndk, pytest.mark.jdk, pytest.mark.torch]

ABIS = ("arm64-v8a", "armeabi-v7a", "x86", "x86_64")
STL = Stl(os.environ.get("BUILDER_ANDROID_STL", Stl.STATIC))
ROOTS = list_roots()
OWN_CORE_ABI = ABIS[0]
EACH_ROOT = pytest.mark.parametrize("root", ROOTS or [None], ids=str)
EXPORTED_HERE = {
    "static": ("quantized_mobilenet_v2",),
    "dynamic": ("models:spoken", "--shape", "1,6,16", "--quantize", "dynamic"),
    "quantised": ("models:quantised", "--shape", "1,3,16,16"),
    "nnapi": ("mobilenet_v2", "--backend", "nnapi", "--channels-last"),
}
"""Models -> what `builder export` gets."""
RELATIVE = {0x6FFFE000, 36}
"""Tags of tables of relative relocations: DT_ANDROID_RELR and DT_RELR (bionic's elf.h)."""
PACKED = {21: set(), 23: set(), 28: {0x6FFFE000}, 30: {36}}
"""API level -> those of `RELATIVE` that its loader reads."""
LIBRARIES = {
    "arm64-v8a": "aarch64-linux-android",
    "armeabi-v7a": "arm-linux-androideabi",
    "x86": "i686-linux-android",
    "x86_64": "x86_64-linux-android",
}
LEFT_OUT = re.compile(
    r"_ZNSt6__ndk1(?:\d+(?:money|time_|messages)\w*|\d+(?:collate|ctype|num\w+)Iw\w*"
    r"|7num_get\w*|7codecvtI[Dw]\w*)2idE"
    # A number or a pointer that is read, and streams that are not made.
    r"|_ZNSt6__ndk113basic_istreamIcNS_11char_traitsIcEEErsER(?:[a-z]|Pv)$"
    r"|_ZNSt6__ndk1(?:3cin|4clog|4wcin|5wcout|5wcerr|5wclog|8ios_base4InitC\dEv)E?$",
    re.MULTILINE,
)
EXPORTED = re.compile(r" GLOBAL \s*\w+\s+\d+ (\S+?)(?:@|$)", re.MULTILINE)


@pytest.fixture(scope="module")
def wanted(models, tmp_path_factory):
    """Name -> model, of all that the AAR is for."""
    folder = tmp_path_factory.mktemp("for android")
    paths = {name: models[name] for name in ("mobilenet_v2", "identity")}
    for name, asked in EXPORTED_HERE.items():
        paths[name] = folder / f"{name}.ptl"
        run_builder("export", *asked, "-o", paths[name])
    return paths


def list_words(wanted, out):
    abis = (word for abi in ABIS for word in ("--abi", abi))
    asset = ("--asset", wanted["mobilenet_v2"])
    return (*wanted.values(), *abis, "--stl", STL, "-o", out, *asset, "--json")


@pytest.fixture(scope="module")
def packed(wanted, tmp_path_factory):
    """What `builder build` says of an AAR for all ABIs, with a model in its assets."""
    out = tmp_path_factory.mktemp("android out")
    said = run_builder("build", *list_words(wanted, out))
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
    assert len(report["files"]) == len(ABIS) * (2 if STL is Stl.SHARED else 1)
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


def test_no_unit_names_a_facet_that_small_libcxx_leaves_out(packed, wanted):
    plan = read_plan(*wanted.values(), "--abi", ABIS[0], "--stl", STL)
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


@EACH_ROOT
@pytest.mark.parametrize("name", ["mobilenet_v2", "static", "dynamic", "quantised", "identity"])
@pytest.mark.androidroot
def test_it_gives_torchs_numbers_on_androids_loader(packed, wanted, root, name):
    verify(wanted[name], packed["out"] / root.abi, root.via)


def verify(model, runtime, via):
    said = run_builder("verify", model, "--runtime", runtime, "--via", via, "--json")
    report = json.loads(said.stdout)
    assert report["outputs"]
    assert all(output["max_relative"] <= 1e-4 for output in report["outputs"])


@pytest.fixture(scope="module")
def on_own_core(models, tmp_path_factory):
    """What `builder build` says of an AAR with builder's own core, for one ABI."""
    out = tmp_path_factory.mktemp("own core") / "out"
    given = ("--core", "own", "--abi", OWN_CORE_ABI, "--stl", STL, "--prefab")
    said = run_builder("build", models["mobilenet_v2"], *given, "-o", out, "--json")
    return {"out": out, **json.loads(said.stdout)}


def test_builders_own_core_is_for_java_and_c(on_own_core, packed, tmp_path):
    name = f"jni/{OWN_CORE_ABI}/libpytorch_jni_lite.so"
    with read_aar(on_own_core) as aar:
        library = Path(aar.extract(name, tmp_path))
        manifest = json.loads(aar.read("torchlite/manifest.json"))
    assert manifest["libraries"][OWN_CORE_ABI]["runtime"]["core"] == "own"
    with library.open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".dynsym").iter_symbols()
        exported = {one.name for one in symbols if one.entry.st_shndx != "SHN_UNDEF"}
    assert {"JNI_OnLoad", "torchlite_load"} < exported
    assert all(one == "JNI_OnLoad" or one.startswith("torchlite_") for one in exported if one)
    with read_aar(packed) as aar:
        assert library.stat().st_size < 0.6 * aar.getinfo(name).file_size


@pytest.mark.parametrize(
    "root", [one for one in ROOTS if one.abi == OWN_CORE_ABI] or [None], ids=str
)
@pytest.mark.androidroot
def test_builders_own_core_gives_torchs_numbers_on_androids_loader(
    on_own_core, models, root, tmp_path
):
    runtime, model = on_own_core["out"] / root.abi, models["mobilenet_v2"]
    verify(model, runtime, root.via)
    # What it throws passes its functions, which have no index of their frames.
    grey = tmp_path / "grey.bin"
    grey.write_bytes(bytes(4 * 8 * 8))
    given = ("--input", f"float32:1x1x8x8:{grey}", "--output-dir", tmp_path)
    refused = subprocess.run(
        [*root.command, runtime / "bin/torchlite-run", model, *given],
        env={**os.environ, "LD_LIBRARY_PATH": str(runtime / "lib")},
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1
    assert "has 1 channel, the model takes 3" in refused.stderr


@EACH_ROOT
@pytest.mark.androidroot
def test_operators_are_measured_through_adb(packed, wanted, root, tmp_path):
    via, log = make_adb(tmp_path, prefix=root.command)
    asked = ("bench", wanted["dynamic"], "--runtime", packed["out"] / root.abi, "--via", via)
    said = run_builder(*asked, "--runs", 1, "--calls", 2, "--profile", "--json")
    calls = {
        each["name"]: each["calls"] for each in json.loads(said.stdout)["profile"]["operators"]
    }
    assert calls["quantized::linear_dynamic"] == 2
    assert "libtorchlite.so" in log.read_text()


@EACH_ROOT
@pytest.mark.androidroot
def test_nnapi_is_opened_when_a_model_asks_for_it(packed, wanted, root, tmp_path):
    """On a system without one, and on one with ours, which computes on the CPU."""
    runtime = packed["out"] / root.abi
    said = subprocess.run(
        ["readelf", "-d", runtime / "lib/libtorchlite.so"], capture_output=True, text=True
    )
    assert "[libc.so]" in said.stdout
    assert "neuralnetworks" not in said.stdout
    asked = ("verify", wanted["nnapi"], "--runtime", runtime, "--via")
    refused = run_builder(*asked, root.via, check=False)
    assert refused.returncode == 8
    assert "this system has no NNAPI" in refused.stderr
    compiler = locate_ndk(Runner.inherit()).compilers / "bin/clang"
    target = f"--target={locate_toolchain(root.abi, 21).system_flags[0].partition('=')[2]}"
    flags = (target, "-fuse-ld=lld", "-O2", "-shared", "-fPIC", "-DAPI_LEVEL=29")
    driver = tmp_path / "libneuralnetworks.so"
    subprocess.run([compiler, *flags, HERE / "neural_networks.c", "-o", driver], check=True)
    libraries = f"LD_LIBRARY_PATH={runtime / 'lib'}:{tmp_path}"
    verify(wanted["nnapi"], runtime, shlex.join(("env", libraries, *root.command)))


def locate_toolchain(abi, level):
    target = replace(parse_target(abi), min_os=level)
    return locate_ndk_toolchain(Runner.inherit(), target, ToolchainOptions(stl=STL))


@pytest.fixture(scope="module")
def link_for(tmp_path_factory):
    """Links a program with builder's flags for an ABI and the loader of an API level."""
    folder = tmp_path_factory.mktemp("linked")

    def link(abi, level):
        toolchain = locate_toolchain(abi, level)
        program = folder / abi / f"{level}"
        program.parent.mkdir(exist_ok=True)
        for library in toolchain.beside:
            (program.parent / library.name).write_bytes(library.read_bytes())
        flags = (*toolchain.system_flags, "-O1", "-fuse-ld=lld", "-pie", "-Wl,--as-needed")
        linked = (*toolchain.link_flags, *toolchain.packed_relocations)
        source = HERE / "android_loader.cpp"
        subprocess.run([toolchain.cxx.path, *flags, source, *linked, "-o", program], check=True)
        return program

    return link


@EACH_ROOT
@pytest.mark.parametrize("level", PACKED)
@pytest.mark.androidroot
def test_packed_relocations_are_what_the_loader_of_that_level_reads(link_for, root, level):
    program = link_for(root.abi, level)
    with program.open("rb") as stream:
        dynamic = ELFFile(stream).get_section_by_name(".dynamic")
        numbers = {ENUM_D_TAG.get(tag.entry.d_tag, tag.entry.d_tag) for tag in dynamic.iter_tags()}
    assert bool(numbers & {0x6000000F, 0x60000011}) == (level >= 23)
    assert (numbers & RELATIVE) == PACKED[level]
    ran = subprocess.run(
        [*root.command, program],
        env={**os.environ, "LD_LIBRARY_PATH": str(program.parent)},
        capture_output=True,
        text=True,
    )
    # A loader that does not read a table leaves the pointers as they are in the file.
    assert ((ran.returncode, ran.stdout) == (0, "thrown 1.5a-b- 5 300\n")) == (root.level >= level)


@EACH_ROOT
@pytest.mark.skipif(STL is Stl.SHARED, reason="a shared C++ library writes numbers itself")
@pytest.mark.androidroot
def test_numbers_in_streams_are_those_of_libcxx(root, tmp_path):
    toolchain = locate_toolchain(root.abi, 21)
    flags = (toolchain.cxx.path, *toolchain.system_flags, "-std=c++17", "-O1")
    small = data_folder("cmake") / "runtime/small_libcxx.cpp"
    subprocess.run([*flags, "-c", small, "-o", tmp_path / "small.o"], check=True)
    said = []
    for units in ((), (tmp_path / "small.o",)):
        linked = ("-fuse-ld=lld", "-Wl,-z,muldefs", "-Wl,--as-needed", *toolchain.link_flags)
        linked += ("-Wl,--gc-sections", "-Wl,-s")
        program = tmp_path / f"numbers{len(units)}"
        command = (*flags, "-pie", *linked, *units, HERE / "numbers.cpp", "-o", program)
        subprocess.run(command, check=True)
        # Android 9 writes long doubles in hexadecimal with a byte that is no character.
        ran = subprocess.run([*root.command, program], capture_output=True, check=True)
        said.append((ran.stdout, program.stat().st_size))
    assert said[0][0] == said[1][0]
    assert said[0][0].count(b"\n") == 13 * 84
    assert said[1][1] < 0.8 * said[0][1]  # so the smaller functions are in it


@EACH_ROOT
@pytest.mark.androidroot
def test_a_c_program_uses_what_prefab_offers(models, tmp_path, root):
    out = tmp_path / "out"
    said = run_builder(
        *("build", models["identity"], "--abi", root.abi, "--prefab", "--stl", STL),
        *("-o", out, "--json"),
    )
    with zipfile.ZipFile(json.loads(said.stdout)["aar"]["path"]) as aar:
        aar.extractall(tmp_path / "aar")
    offered = tmp_path / "aar/prefab/modules/torchlite"
    library = offered / f"libs/android.{root.abi}/libpytorch_jni_lite.so"
    toolchain = locate_toolchain(root.abi, 21)
    stubs = tmp_path / "stubs"  # for what a system without its Java half lacks; nothing calls it
    stubs.mkdir()
    folder = locate_ndk(Runner.inherit()).compilers / "sysroot/usr/lib"
    (listed,) = folder.glob(f"{LIBRARIES[root.abi]}/21/libandroid.so")
    (stubs / "libandroid.so").symlink_to(listed)
    program = tmp_path / "consumer"
    flags = (*toolchain.system_flags, "-fuse-ld=lld", "-pie")
    sources = (f"-I{offered / 'include'}", HERE / "consumer.c", library)
    subprocess.run([toolchain.cc.path, *flags, *sources, "-o", program], check=True)
    folders = ":".join(map(str, (library.parent, stubs, out / root.abi / "lib")))
    ran = subprocess.run(
        [*root.command, program, models["identity"]],
        env={**os.environ, "LD_LIBRARY_PATH": folders},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (0, "2.6.0\n"), ran.stderr


def test_the_same_bytes_come_again(packed, wanted, tmp_path):
    again = run_builder("build", *list_words(wanted, tmp_path))
    first, second = (Path(said["aar"]["path"]) for said in (packed, json.loads(again.stdout)))
    assert first.read_bytes() == second.read_bytes()


def test_java_classes_are_java_8s(packed, tmp_path):
    with read_aar(packed) as aar, zipfile.ZipFile(aar.extract("classes.jar", tmp_path)) as jar:
        heads = {jar.read(name)[:8] for name in jar.namelist() if name.endswith(".class")}
    assert {head[6:] for head in heads} == {b"\x00\x34"}  # class file version 52
