"""The Swift module, compiled by a real compiler and run on a real runtime, under Linux.

BUILDER_SWIFT is put before swiftc and before what it makes, to run both in another system:
`chroot /mnt/system`, where the same paths have to lead to the same files.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess

import numpy as np
import pytest

from builder.system.folders import data_folder
from builder.system.reference_cases import read_reference

from .conftest import ABI, HERE, run_builder

pytestmark = [pytest.mark.swift, pytest.mark.host, pytest.mark.torch]
MODULE_MAP = 'module LibTorchLite {\n  header "torchlite.h"\n  export *\n}\n'
FLAGS = ("-O", "-swift-version", "5", "-warnings-as-errors")


def run(*command):
    prefix = shlex.split(os.environ.get("BUILDER_SWIFT", ""))
    ran = subprocess.run([*prefix, *map(str, command)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def compile_program(root, source, folder):
    """Compiles a program that imports the Swift module, for the runtime at `root`."""
    shutil.copy(root / "include/torchlite.h", folder)
    (folder / "module.modulemap").write_text(MODULE_MAP)
    sources = sorted((data_folder("swift") / "Sources/TorchLite").glob("*.swift"))
    module = ("-module-name", "TorchLite", "-emit-module-path", folder / "TorchLite.swiftmodule")
    library = ("-parse-as-library", "-emit-library", "-static", "-o", folder / "libwrapper.a")
    run("swiftc", *FLAGS, *module, *library, "-emit-module", "-I", folder, *sources)
    linked = ("-L", folder, "-lwrapper", "-L", root / "lib", "-ltorchlite")
    found = ("-Xlinker", "-rpath", "-Xlinker", root / "lib")
    made = folder / "program"
    run("swiftc", *FLAGS, HERE / source, "-I", folder, *linked, *found, "-o", made)
    return made


@pytest.fixture(scope="module")
def program(built, tmp_path_factory):
    return compile_program(built.root, "swift/main.swift", tmp_path_factory.mktemp("swift"))


@pytest.fixture(scope="module")
def said(program, built, tmp_path_factory):
    """What the program printed by name, and the difference of its output from PyTorch's."""
    folder = tmp_path_factory.mktemp("io")
    model = built.models["mobilenet_v2"]
    case = read_reference(model.with_name(f"{model.name}.reference.safetensors"))
    (given,), (wanted,) = case.inputs, case.outputs
    (folder / "input").write_bytes(given.data)
    shape = ",".join(map(str, given.spec.shape))
    files = (folder / "input", shape, folder / "output")
    lines = run(program, model, built.models["needy"], *files).splitlines()
    got = np.frombuffer((folder / "output").read_bytes(), np.float32)
    difference = np.abs(got - np.frombuffer(wanted.data, np.float32)).max()
    return dict(line.split(": ", 1) for line in lines), float(difference), wanted.spec.shape


def test_it_gives_pytorchs_numbers(said):
    lines, difference, shape = said
    assert difference <= 1e-4
    assert lines["shape"] == ",".join(map(str, shape))
    assert lines["count"] == "1000 of 1000"


def test_a_module_of_memory_and_calls_at_the_same_time_give_the_same(said):
    assert said[0]["from memory"] == "the same"
    assert said[0]["at the same time"] == "4 of 4"


def test_the_runtime_says_what_it_is(said):
    assert said[0]["version"] == "2.6.0"
    assert "prepacked::conv2d_clamp_run" in said[0]["operators"].split()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("no file", "loadFailed "),
        ("no model", "loadFailed "),
        ("no input", "runFailed "),
        ("no method", "runFailed "),
        ("wrong type", "invalidArgument the tensor holds float32, not int32"),
        ("wrong size", "invalidArgument 20 bytes do not make float32 [2, 3]"),
        ("overflow", "invalidArgument 0 bytes do not make "),
    ],
)
def test_what_fails_throws_with_the_runtimes_words(said, name, wanted):
    assert said[0][name].startswith(wanted)
    assert len(said[0][name]) > len("loadFailed ")


def test_a_model_with_other_operators_is_refused_by_their_names(said):
    assert "aten::cumsum" in said[0]["not built for"]


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    """What a program that passes values of each kind printed, by name."""
    folder = tmp_path_factory.mktemp("values")
    labels = folder / "labels.json"
    labels.write_text('{"labels": ["cat", "dog"]}')
    model = folder / "callers.ptl"
    methods = ("get_classes", "detect=[float32[1,2],float32[3,1]]", "recognize", "talk")
    asked = [argument for method in methods for argument in ("--method", method)]
    extra = ("--extra-file", f"labels.json={labels}")
    run_builder(
        *("export", "models:callers", "--script", "--shape", "2,3", *asked, *extra, "-o", model)
    )
    run_builder("build", model, "--abi", ABI, "-o", folder / "out")
    program = compile_program(folder / "out" / ABI, "swift/values.swift", folder)
    return dict(line.split(": ", 1) for line in run(program, model).splitlines())


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dict", "[2, 3] [2.0, 4.0, 6.0, 8.0, 10.0, 12.0], [] [42.0], 2 items"),
        ("float and tensor", "[] [105.0]"),
        ("none", "[] [21.0]"),
        ("tuple", "2, 2"),
        ("dict in list", "[2, 3] [1.5, 1.5, 1.5, 1.5, 1.5, 1.5], int64"),
        ("strings", 'ä 🙂 dog | ["ä", "🙂", "dog"]'),
        ("left out", "cat, [] [21.0]"),
        ("state", "[] [42.0]"),
        ("list", '["cat", "dog"]'),
        ("equal", "true"),
        ("shared bytes", "true"),
        ("extra file", '{"labels": ["cat", "dog"]}'),
        ("another file", "true"),
        ("from memory", "true"),
        ("absent file", "true"),
        ("unnamed file", "true"),
        ("methods", "detect forward get_classes recognize talk"),
        (
            "signature",
            "forward(Tensor x, float scale, Optional[Tensor] mask) -> Dict[str, Tensor]",
        ),
        (
            "inputs",
            "x:Tensor:false:false scale:float:false:true mask:Optional[Tensor]:true:true",
        ),
        ("devices", "cpu"),
        ("unaligned", "[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]"),
        ("tasks", "true, 2"),
    ],
)
def test_swift_takes_and_gives_what_the_c_api_does(values, name, wanted):
    assert values[name] == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("wrong kind", "runFailed("),
        ("too few", "runFailed("),
        ("no method", "runFailed("),
        ("too deep", "invalidArgument("),
        ("not a file", "loadFailed("),
        ("log", "warning warned of something"),
        ("profile", "aten::mul"),
    ],
)
def test_swift_says_what_the_runtime_says(values, name, wanted):
    assert wanted in values[name]
    assert values["cancelled"] in {"CancellationError", "ran before"}
