"""What C and C++ programs have around a runtime: headers, pkg-config, CMake, a log."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from builder.api import locate_target, locate_toolchain

from .conftest import ABI, HERE, run_builder

pytestmark = [pytest.mark.host, pytest.mark.torch]

LABELS = '{"labels": ["cat", "dog"]}'
DESCRIBED = """\
detect | detect(List[Tensor] images) -> Tuple[int, List[Dict[str, Tensor]]] | images:6<1> \
-> 7<3,6<8<5,1>>>
forward | forward(Tensor x, float scale, Optional[Tensor] mask) -> Dict[str, Tensor] | \
x:1 scale:4= mask:1?= -> 8<5,1>
get_classes | get_classes() -> List[str] | -> 6<5>
recognize | recognize(Tensor x, Optional[List[str]] words, Optional[Tensor] state) -> \
Tuple[str, List[str], Tensor] | x:1 words:6?<5>= state:1?= -> 7<5,6<5>,1>
talk | talk(Tensor x) -> Tensor | x:1 -> 1
26 {"labels": ["cat", "dog"]}
the module was not loaded with the extra file 'other'
log 1 [printed 2
]
log 0 [warned of something]
printed 2
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("callers")
    labels = folder / "labels.json"
    labels.write_text(LABELS)
    path = folder / "callers.ptl"
    methods = ("get_classes", "detect=[float32[1,2],float32[3,1]]", "recognize", "talk")
    asked = [argument for method in methods for argument in ("--method", method)]
    extra = ("--extra-file", f"labels.json={labels}")
    run_builder(
        *("export", "models:callers", "--script", "--shape", "2,3", *asked, *extra, "-o", path)
    )
    return path


@pytest.fixture(scope="module")
def out(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("out with space")
    run_builder("build", model, "--abi", ABI, "-o", out)
    return out


@pytest.fixture(scope="module")
def compilers():
    toolchain = locate_toolchain(locate_target(ABI))
    return toolchain.cc.path, toolchain.cxx.path


def check_program(out, program, *flags, compiler):
    """Compiles a program against a runtime without a warning."""
    root = out / ABI
    warnings = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
    linked = (f"-I{root / 'include'}", f"-L{root / 'lib'}", "-ltorchlite")
    subprocess.run(
        (*(compiler, *flags, *warnings, HERE / program.source), *linked, "-o", program.path),
        check=True,
    )


class Program:
    def __init__(self, source, folder):
        self.source, self.path = source, folder / Path(source).stem

    def run(self, out, *arguments):
        """Runs it with the libraries of a runtime."""
        environment = {**os.environ, "LD_LIBRARY_PATH": str(out / ABI / "lib")}
        return subprocess.run(
            (self.path, *arguments), env=environment, capture_output=True, text=True
        )


def test_a_module_describes_itself_and_is_heard(out, model, compilers, tmp_path):
    program = Program("described.c", tmp_path)
    check_program(out, program, "-std=c99", compiler=compilers[0])
    said = program.run(out, model)
    assert (said.returncode, said.stdout) == (0, DESCRIBED)
    assert said.stderr.count("warned") == 1, "without a log, warnings go to the standard error"
    assert "of something" in said.stderr


@pytest.mark.parametrize("source", ["callers.cpp", "torch_module.cpp"])
@pytest.mark.parametrize("standard", ["c++14", "c++20"])
def test_the_cxx_headers_are_enough_for_apps(out, model, compilers, tmp_path, source, standard):
    program = Program(source, tmp_path)
    check_program(out, program, f"-std={standard}", compiler=compilers[1])
    said = program.run(out, model)
    assert (said.returncode, said.stdout, said.stderr) == (0, "done\n", "")


def test_pkg_config_knows_the_runtime_wherever_it_is(out, model, compilers, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(out / ABI, moved, symlinks=True)
    environment = {**os.environ, "PKG_CONFIG_PATH": str(moved / "lib/pkgconfig")}
    asked = ("pkg-config", "--cflags", "--libs", "torchlite >= 1.0")
    said = subprocess.run(asked, env=environment, check=True, capture_output=True, text=True)
    program = tmp_path / "program"
    rpath = f"-Wl,-rpath,{moved / 'lib'}"
    source = (HERE / "described.c", *shlex.split(said.stdout), rpath, "-o", program)
    subprocess.run((compilers[0], *source), check=True)
    ran = subprocess.run((program, model), capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, DESCRIBED)


def test_cmake_finds_the_runtime_of_this_system_in_the_output_folder(out, compilers, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(user C)\n"
        "find_package(TorchLite 1.0 REQUIRED)\n"
        "get_target_property(place TorchLite::torchlite IMPORTED_LOCATION)\n"
        'message(STATUS "found ${place}")\n'
    )
    cmake = ("cmake", "-G", "Ninja", "-S", tmp_path, f"-DCMAKE_C_COMPILER={compilers[0]}")
    found = subprocess.run(
        (*cmake, "-B", tmp_path / "b", f"-DCMAKE_PREFIX_PATH={out}"),
        capture_output=True,
        text=True,
    )
    assert f"found {out / ABI / 'lib/libtorchlite.so.1'}" in found.stdout, found.stderr
    other = tmp_path / "other"
    shutil.copytree(out / "cmake", other / "cmake")
    missed = subprocess.run(
        (*cmake, "-B", tmp_path / "c", f"-DCMAKE_PREFIX_PATH={other}"),
        capture_output=True,
        text=True,
    )
    assert missed.returncode != 0
    told = " ".join(missed.stderr.split())
    assert f"has no runtime for {ABI}. Build one: builder build MODEL --abi {ABI}" in told


def test_the_runner_says_how_it_is_called(out):
    runner = out / ABI / "bin/torchlite-run"
    said = subprocess.run((runner, "--help"), capture_output=True, text=True)
    assert said.returncode == 0
    assert "--input DTYPE:SIZES:FILE" in said.stdout
    source = (HERE.parents[1] / "cmake/runtime/runner.cpp").read_text()
    values = (HERE.parents[1] / "cmake/runtime/runner_values.h").read_text()
    for text in (source, values):
        for option in [part.split('"')[0] for part in text.split('argument == "')[1:]]:
            assert option in said.stdout or option == "-h", f"the help says nothing of {option}"
    said = subprocess.run((runner, "--version"), capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "PyTorch 2.6.0, C API 1\n")
    said = subprocess.run((runner, "--nothing"), capture_output=True, text=True)
    assert said.returncode == 1
    assert "torchlite-run --help" in said.stderr


def test_signatures_name_what_the_reference_case_passes(model):
    said = run_builder("ops", model, "--signature", "--json")
    (described,) = json.loads(said.stdout)["models"]
    inputs = {one["name"]: one["inputs"] for one in described["signatures"]}
    x, scale, mask = inputs["forward"]
    assert (x["dtype"], x["shape"], x["required"]) == ("float32", [2, 3], True)
    assert (scale["default"], scale["dtype"], mask["required"]) == ("2.0", None, False)
    assert inputs["detect"][0]["example"] == "[float32[1,2], float32[3,1]]"
