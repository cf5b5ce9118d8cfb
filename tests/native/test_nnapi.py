"""Models for NNAPI on a libneuralnetworks of our own, and on systems that have none."""

import json
import os
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from .conftest import ABI, FLOAT, HERE, run_builder

pytestmark = [pytest.mark.host, pytest.mark.torch]
RUNTIME = Path(__file__).parents[2] / "cmake/runtime"
FUNCTIONS = (
    *("Model_create", "Model_addOperand", "Model_setOperandValue", "Model_addOperation"),
    *("Model_identifyInputsAndOutputs", "Model_finish", "Compilation_create"),
    *("Compilation_setPreference", "Compilation_finish", "Execution_create"),
    *("Execution_setInput", "Execution_setOutput", "Execution_compute"),
)
SIZES = (1, 2, 6, 6)


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    """API level -> folder with the library."""
    folders = {}
    for level in (27, 28, 29):
        folders[level] = tmp_path_factory.mktemp(f"level{level}")
        subprocess.run(
            [
                *("cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"),
                *(f"-DAPI_LEVEL={level}", HERE / "neural_networks.c"),
                *("-o", folders[level] / "libneuralnetworks.so"),
            ],
            check=True,
        )
    return folders


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    import torch

    from . import nnapi_files

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("nnapi")
    for name, option in (("mobilenet", "--optimize"), ("mobilenet_nhwc", "--channels-last")):
        asked = ("mobilenet_v2", "--backend", "nnapi", option, "-o", folder / f"{name}.ptl")
        run_builder("export", *asked)
    x = torch.rand(SIZES)
    words, weights = nnapi_files.serialize(nnapi_files.Small(), [x])
    misuse = torch.jit.script(nnapi_files.Misuse(words, weights))
    nnapi_files.save(misuse, folder / "misuse.ptl")
    x = torch.rand(1, 3, 4, 5)
    y = torch.rand(1, 3, 1, 1)
    x.nnapi_nhwc = True
    nnapi_files.convert(nnapi_files.Averaged(), (x, y), folder / "averaged.ptl")
    return {path.stem: path for path in folder.glob("*.ptl")}


@pytest.fixture(scope="module")
def out(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nnapi_out") / "out"
    run_builder("build", *sorted(files.values()), "--abi", ABI, *FLOAT, "-o", folder)
    return folder


def run(out, model, values, folder, *, system=None, environment=None):
    """Returns the outputs, or what went wrong."""
    folder.mkdir()
    command = [out / ABI / "bin/torchlite-run", model, "--output-dir", folder]
    for place, value in enumerate(values):
        if isinstance(value, int):
            command += ["--int", str(value)]
            continue
        path = folder / f"input.{place}.bin"
        path.write_bytes(value.tobytes())
        command += ["--input", f"{value.dtype}:{'x'.join(map(str, value.shape))}:{path}"]
    libraries = [out / ABI / "lib", *([system] if system else [])]
    said = subprocess.run(
        command,
        env={
            **os.environ,
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            **(environment or {}),
        },
        capture_output=True,
        text=True,
    )
    if said.returncode:
        # A signal would be a negative number.
        assert (said.returncode, said.stdout) == (1, ""), said.stderr
        return said.stderr
    return [
        np.fromfile(folder / f"output.{place}.bin", one["dtype"]).reshape(one["shape"])
        for place, one in enumerate(json.loads(said.stdout)["outputs"])
    ]


@pytest.mark.parametrize(("name", "level"), [("mobilenet", 27), ("mobilenet_nhwc", 29)])
def test_mobilenet_computes_what_eager_does(out, files, systems, name, level):
    environment = {"LD_LIBRARY_PATH": str(systems[level])}
    asked = ("verify", files[name], "--runtime", out, "--json")
    result = json.loads(run_builder(*asked, env=environment).stdout)
    assert result["ok"]


def test_mean_and_transpose(out, files, systems, tmp_path):
    x = np.random.default_rng(0).random((1, 3, 4, 5), np.float32)
    y = np.random.default_rng(1).random((1, 3, 1, 1), np.float32)
    made = run(out, files["averaged"], [x, y], tmp_path / "run", system=systems[29])
    wanted = (x + y).mean((2, 3), keepdims=True), x.mean((2, 3))
    for one, other in zip(made, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_only_a_runtime_for_such_models_has_the_class(out, files, built):
    libraries = (out / ABI / "lib/libtorchlite.so", built.library)
    assert [b"libneuralnetworks.so" in path.read_bytes() for path in libraries] == [True, False]
    run_builder("check", files["mobilenet"], out)
    said = run_builder("check", files["mobilenet"], built.out, check=False)
    assert said.returncode == 8
    assert "_nnapi.Compilation" in said.stdout + said.stderr


def test_a_system_without_nnapi_says_so(out, files, tmp_path):
    said = run(out, files["misuse"], [np.zeros(SIZES, np.float32), 0], tmp_path / "run")
    assert "this system has no NNAPI, which is part of Android 8.1 (API level 27)" in said
    verified = run_builder("verify", files["mobilenet"], "--runtime", out, check=False)
    assert verified.returncode == 8
    assert "this system has no NNAPI" in verified.stderr


def test_a_system_without_a_driver_says_so(out, files, systems, tmp_path):
    x = np.zeros(SIZES, np.float32)
    none = {"NNAPI_DEVICES": "0"}
    said = run(out, files["misuse"], [x, 0], tmp_path / "run", system=systems[29], environment=none)
    assert "NNAPI has no device: there is no driver for it" in said


def test_another_library_of_that_name_is_refused(out, files, tmp_path):
    folder = tmp_path / "system"
    folder.mkdir()
    (folder / "empty.c").write_text("int unrelated;\n")
    command = ("cc", "-shared", "-fPIC", "-o", "libneuralnetworks.so", "empty.c")
    subprocess.run(command, cwd=folder, check=True)
    x = np.zeros(SIZES, np.float32)
    said = run(out, files["misuse"], [x, 0], tmp_path / "run", system=folder)
    assert "NNAPI cannot be used: libneuralnetworks.so has no ANeuralNetworksModel_create" in said


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_driver_that_fails_is_an_error(out, files, systems, tmp_path, function):
    x = np.zeros(SIZES, np.float32)
    failing = {"NNAPI_FAIL": function}
    said = run(
        out, files["misuse"], [x, 0], tmp_path / "run", system=systems[29], environment=failing
    )
    assert f"OP_FAILED (5) from ANeuralNetworks{function}" in said


def test_models_that_misuse_the_class(out, files, systems, tmp_path):
    from .nnapi_files import MISUSES

    x = np.random.default_rng(0).random(SIZES, np.float32)
    for case, reason in MISUSES.items():
        folder = tmp_path / str(case)
        assert reason in run(out, files["misuse"], [x, case], folder, system=systems[29]), case


def test_nnapi_keeps_what_it_was_given(out, files, systems, tmp_path):
    x = np.random.default_rng(0).random(SIZES, np.float32)
    plain, freed = (
        run(out, files["misuse"], [x, case], tmp_path / str(case), system=systems[28])
        for case in (0, 15)
    )
    assert (plain[0] == freed[0]).all()
    assert np.abs(plain[0]).max() > 0


def set_words(*changes):
    def change(words, layout):
        for where, value in changes:
            words[where(layout) if callable(where) else where] = value

    return change


NOT_A_NUMBER = 0x7FC00000
DAMAGES = {
    "another version": (set_words((0, 2)), "version 2 instead of 1"),
    "fewer words": (lambda words, _: words.pop(), "ends early"),
    "more words": (lambda words, _: words.append(0), "1 words follow it"),
    "negative count": (set_words((1, -1)), "ends early"),
    "many operations": (set_words((3, 1 << 24)), "ends early"),
    "many inputs": (set_words((4, 0x40000000)), "ends early"),
    "no output": (lambda words, _: (words.pop(), words.__setitem__(5, 0)), "no input or no output"),
    "unknown type": (set_words((6, 11)), "operand of the unknown type 11"),
    "number of many": (set_words((7, 1)), "a number with dimensions"),
    "dimensions": (set_words((7, 0x40000001)), "has 1073741825 dimensions"),
    "scale": (set_words((8, NOT_A_NUMBER)), "no usable scale"),
    "zero point": (set_words((9, 3)), "has the zero point 3"),
    "sizes": (
        set_words((lambda one: one.sizes, 0x7FFFFFFF), (lambda one: one.sizes + 1, 0x7FFFFFFF)),
        "more than 4294967295 bytes",
    ),
    "value of nothing": (set_words((lambda one: one.values, 10_000)), "names operand 10000 of"),
    "two values": (
        set_words((lambda one: one.values + 3, 0), (lambda one: one.values, 0)),
        "operand 0 is defined twice",
    ),
    "source": (set_words((lambda one: one.values + 1, 3)), "has the source 3"),
    "length": (set_words((lambda one: one.values + 2, 3)), "takes 1 bytes, and its value has 3"),
    "longest": (set_words((lambda one: one.values + 2, -1)), "ends early"),
    "buffer": (set_words((lambda one: one.buffers[0], 6)), "names buffer 6 of 6"),
    "offset": (set_words((lambda one: one.buffers[0] + 1, 4)), "ends behind buffer"),
    "wrapping offset": (set_words((lambda one: one.buffers[0] + 1, -4)), "ends behind buffer"),
    "long buffer": (set_words((lambda one: one.buffers[0] + 2, 1 << 20)), "ends behind buffer"),
    "short buffer": (set_words((lambda one: one.buffers[0] + 2, 4)), "and its value has 4"),
    "operation": (set_words((lambda one: one.operations, 16)), "has the code 16"),
    "extension": (set_words((lambda one: one.operations, -1)), "has the code -1"),
    "inputs of one": (set_words((lambda one: one.operations, 19)), "has 11 inputs"),
    "no outputs": (
        set_words((lambda one: one.operations + 1, 12), (lambda one: one.operations + 2, 0)),
        "has 12 inputs and 0 outputs",
    ),
    "argument": (set_words((lambda one: one.arguments, -1)), "names operand 4294967295 of"),
    "before": (
        lambda words, layout: words.__setitem__(layout.arguments, words[layout.outputs]),
        "which nothing before it defines",
    ),
    "output twice": (
        lambda words, layout: words.__setitem__(layout.arguments + 11, words[layout.inputs]),
        "is defined twice",
    ),
    "input of a value": (set_words((lambda one: one.inputs, 0)), "operand 0 is defined twice"),
    "output of nothing": (set_words((lambda one: one.outputs, 0)), "its output is operand 0"),
    "what NNAPI refuses": (
        lambda words, layout: words.__setitem__(layout.arguments + 9, words[layout.arguments + 10]),
        "BAD_DATA (4) from ANeuralNetworksExecution_compute",
    ),
}


def test_damaged_models_are_refused(out, systems, tmp_path):
    import torch

    from .nnapi_files import Layout, Misuse, Small, save, serialize

    torch.manual_seed(0)
    words, weights = serialize(Small(), [torch.rand(SIZES)])
    x = np.random.default_rng(0).random(SIZES, np.float32)
    script = torch.jit.script(Misuse(words, weights))
    for name, (damage, reason) in DAMAGES.items():
        damaged = list(words)
        damage(damaged, Layout(words))
        signed = [word - (1 << 32) if word >= 1 << 31 else word for word in damaged]
        script.words = torch.tensor(signed, dtype=torch.int32)
        model = save(script, tmp_path / f"{name}.ptl")
        said = run(out, model, [x, 0], tmp_path / name, system=systems[29])
        assert isinstance(said, str), name
        assert reason in said, name


@pytest.fixture(scope="module")
def reader(tmp_path_factory, systems):
    """The program that reads damaged models, with sanitizers."""
    program = tmp_path_factory.mktemp("reader") / "nnapi_models"
    subprocess.run(
        [
            *("c++", "-std=c++17", "-g", "-O1", "-fsanitize=address,undefined"),
            *("-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror", f"-I{RUNTIME}"),
            *(
                HERE / "nnapi_models.cpp",
                RUNTIME / "nnapi/model.cpp",
                RUNTIME / "nnapi/library.cpp",
            ),
            *("-ldl", "-o", program),
        ],
        check=True,
    )
    return program


def test_no_damage_reaches_the_driver(reader, systems, tmp_path):
    import torch

    from .nnapi_files import Small, serialize

    words, weights = serialize(Small(), [torch.rand(SIZES)])
    (tmp_path / "model").write_bytes(struct.pack(f"{len(words)}i", *words))
    bytes_ = [str(weight.numel() * weight.element_size()) for weight in weights]
    said = subprocess.run(
        [reader, tmp_path / "model", "20000", "1", *bytes_],
        env={**os.environ, "LD_LIBRARY_PATH": str(systems[29])},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stderr
    # Most damage is refused, and some is none: another weight, or another number.
    assert 0 < int(said.stdout) < 10_000
