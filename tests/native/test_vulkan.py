"""Runtimes for Vulkan: models on the CPU by Mesa's lavapipe, and what happens without a device."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from builder import api
from builder.sources.vulkan_kernels import load_vulkan
from builder.system.reference_cases import read_reference

from .conftest import ABI, FLOAT, read_plan, run_builder
from .gpu_operators import GROUPS, Group
from .vulkan_runs import MODELS, NAMES, ON_LAVAPIPE, WITHOUT_DEVICE, run, run_validated

pytestmark = [pytest.mark.host, pytest.mark.vulkan]


@pytest.mark.parametrize("name", GROUPS)
def test_kernels_compute_what_those_of_the_cpu_do(
    vulkan_out, vulkan_graphs, tmp_path, request, name
):
    group, inputs = GROUPS[name], GROUPS[name].fill().values()
    gpu, cpu = vulkan_graphs[name]
    out = vulkan_out
    if name == "quantised":
        out = request.getfixturevalue("vulkan_quantised_out")
    made = run(out, gpu, inputs, tmp_path / "gpu")
    wanted = run(out, cpu, inputs, tmp_path / "cpu", on_gpu=False)
    assert len(made) == len(wanted) == len(group.calls)
    for call, one, other in zip(group.calls, made, wanted, strict=True):
        assert one.shape == other.shape, call
        most = max(1, np.abs(other).max())
        assert np.abs(one - other).max() <= group.tolerance * most, call


def test_a_model_of_kernels_alone_is_built_for_vulkan_too(vulkan_graphs):
    plans = [read_plan(path) for path in vulkan_graphs["elements"]]
    assert [plan["custom_classes"] for plan in plans] == [[], []]
    assert [list(plan["features"]) for plan in plans] == [["vulkan"], []]


def test_every_kernel_is_called():
    called = {
        node.operator
        for group in GROUPS.values()
        for graph in group.on_gpu().graphs.values()
        for _, node in graph.block.walk()
    }
    # ATen declares no such operator.
    assert set(load_vulkan().kernels) - called == {"aten::hardshrink_"}


def test_thousands_of_dispatches_before_a_result_is_read(vulkan_out, tmp_path):
    calls = [
        f"aten::add.Scalar(%{'x' if place == 0 else f'r{place - 1}'}, 1, 1)"
        for place in range(3000)
    ]
    many = Group(inputs={"x": (2, 3)}, calls=calls)
    program, _ = many.write(tmp_path)
    (*_, last) = run(vulkan_out, program, [np.zeros((2, 3), np.float32)], tmp_path / "run")
    assert (last == 3000).all()


X = np.zeros((5, 6), np.float32)
Y = np.zeros((6, 3), np.float32)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([X, np.zeros((7, 3), np.float32)], "Vulkan Linear not usable"),
        ([X, Y.astype(np.float64)], "Vulkan Linear not available"),
        ([X, Y.astype(np.int64)], "Vulkan Linear not available"),
        ([X.reshape(1, 1, 1, 5, 6), Y], "ndim <= 4"),
        ([np.zeros((20_000, 6), np.float32), Y], "images end at"),
    ],
)
def test_what_a_kernel_cannot_take_is_an_error(vulkan_out, tmp_path, inputs, reason):
    """The GPU is still computing `relu` when the second call fails, and the process ends."""
    group = Group(inputs={"x": (5, 6), "y": (6, 3)}, calls=("aten::relu(%x)", "aten::mm(%x, %y)"))
    program, _ = group.write(tmp_path)
    said = run(vulkan_out, program, inputs, tmp_path / "run", check=False)
    assert (said.returncode, said.stdout) == (1, "")
    assert reason in said.stderr


def test_a_first_tensor_that_would_have_to_be_broadcast_is_an_error(vulkan_out, tmp_path):
    group = Group(
        inputs={"x": (1, 4, 1, 6), "y": (1, 4, 5, 6)}, calls=("aten::lerp.Scalar(%x, %y, 0.3)",)
    )
    program, _ = group.write(tmp_path)
    inputs = [np.zeros(sizes, np.float32) for sizes in group.inputs.values()]
    said = run(vulkan_out, program, inputs, tmp_path / "run", check=False)
    assert (said.returncode, said.stdout) == (1, "")
    assert "lerp does not broadcast its first tensor" in said.stderr


def test_a_result_without_elements_is_an_error(vulkan_out, tmp_path):
    """The sum would have one row: sizes of 1 are repeated, and the kernel takes the larger size."""
    calls = ("%_n = aten::slice.Tensor(%x, 0, 1, 1, 1); aten::add.Tensor(%_n, %y, 1)",)
    program, _ = Group(inputs={"x": (5, 6), "y": (1, 6)}, calls=calls).write(tmp_path)
    inputs = [np.zeros((5, 6), np.float32), np.zeros((1, 6), np.float32)]
    said = run(vulkan_out, program, inputs, tmp_path / "run", check=False)
    assert (said.returncode, said.stdout) == (1, "")
    assert "without elements" in said.stderr


LOAD = """\
import ctypes, sys
library, module = ctypes.CDLL(sys.argv[1]), ctypes.c_void_p()
assert library.torchlite_load(sys.argv[2].encode(), ctypes.byref(module)) == 0
"""


def test_a_process_may_end_when_a_model_is_loaded(vulkan_out):
    library = vulkan_out / ABI / "lib/libtorchlite.so"
    command = (sys.executable, "-c", LOAD, library, MODELS / "attention.ptl")
    run_validated(command, check=True, timeout=100)


LATE = """\
#include <stdio.h>
#include <torchlite.h>

struct Holder {
  torchlite_module* module = nullptr;
  torchlite_result* result = nullptr;
  ~Holder() {
    torchlite_result_free(result);
    torchlite_module_free(module);
    puts("freed");
  }
};
static Holder holder;

int main(int, char** argv) {
  float numbers[16] = {1, 2, 3};
  int64_t sizes[2] = {2, 8};
  torchlite_tensor input = {TORCHLITE_FLOAT32, 2, sizes, numbers};
  if (torchlite_load(argv[1], &holder.module) ||
      torchlite_forward(holder.module, &input, 1, &holder.result)) {
    puts(torchlite_error());
    return 1;
  }
}
"""


def test_modules_may_be_freed_after_the_statics_of_the_library(vulkan_out, tmp_path):
    """A static of the program that was made before the library's first call is destroyed last."""
    (tmp_path / "late.cpp").write_text(LATE)
    folder = vulkan_out / ABI
    compiler = api.locate_toolchain(api.locate_target(ABI)).cxx.path
    command = (
        *(compiler, f"-I{folder / 'include'}", tmp_path / "late.cpp", "-o", tmp_path / "late"),
        *(folder / "lib/libtorchlite.so", f"-Wl,-rpath,{folder / 'lib'}"),
    )
    subprocess.run(command, check=True)
    said = run_validated((tmp_path / "late", MODELS / "mlp.ptl"), timeout=100)
    assert (said.returncode, said.stdout) == (0, "freed\n")


THREADS = """\
import ctypes, sys, threading
library = ctypes.CDLL(sys.argv[1])
library.torchlite_error.restype = ctypes.c_char_p

class Tensor(ctypes.Structure):
    _fields_ = [
        ("dtype", ctypes.c_int), ("dims", ctypes.c_int32),
        ("sizes", ctypes.POINTER(ctypes.c_int64)), ("data", ctypes.c_void_p),
    ]

def make(sizes):
    count = 1
    for size in sizes:
        count *= size
    data = (ctypes.c_float * count)(*(n % 7 / 7 for n in range(count)))
    pointer = ctypes.cast(data, ctypes.c_void_p)
    return Tensor(6, len(sizes), (ctypes.c_int64 * len(sizes))(*sizes), pointer), data

def call(path, sizes):
    module, result, tensor = ctypes.c_void_p(), ctypes.c_void_p(), Tensor()
    given, kept = make(sizes)
    check(library.torchlite_load(path, ctypes.byref(module)))
    for _ in range(3):
        check(library.torchlite_forward(module, ctypes.byref(given), 1, ctypes.byref(result)))
        check(library.torchlite_result_tensor(result, 0, ctypes.byref(tensor)))
        count = 1
        for place in range(tensor.dims):
            count *= tensor.sizes[place]
        found.setdefault(path, set()).add(ctypes.string_at(tensor.data, 4 * count))
        library.torchlite_result_free(result)
    library.torchlite_module_free(module)

def check(status):
    assert status == 0, library.torchlite_error()

found, calls = {}, [(one.split(":")[0].encode(), eval(one.split(":")[1])) for one in sys.argv[2:]]
for given in calls:
    call(*given)
threads = [threading.Thread(target=call, args=given) for given in calls * 2]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*(len(results) for results in found.values()))
"""


def test_modules_in_threads_compute_what_they_do_alone(vulkan_out):
    given = [f"{MODELS / 'mlp.ptl'}:[2, 8]", f"{MODELS / 'unet.ptl'}:[1, 3, 8, 8]"]
    command = (sys.executable, "-c", THREADS, vulkan_out / ABI / "lib/libtorchlite.so", *given)
    said = run_validated(command, timeout=100)
    assert (said.returncode, said.stdout) == (0, "1 1\n")


def test_check_says_which_build_a_runtime_without_vulkan_lacks(built):
    model = MODELS / "mlp.ptl"
    said = run_builder("check", model, built.out, check=False)
    assert said.returncode == 8
    assert "missing operator: vulkan_prepack::run_linear_context" in said.stdout
    assert f"builder build {model} --abi {ABI}" in said.stdout + said.stderr


@pytest.mark.parametrize("name", NAMES)
def test_models_compute_what_eager_pytorch_does(vulkan_out, name):
    model = MODELS / f"{name}.ptl"
    said = run_builder(
        *("verify", model, "--runtime", vulkan_out, "--tolerance", "1e-5", "--json"),
        env=ON_LAVAPIPE,
    )
    assert [one["max_relative"] <= 1e-5 for one in json.loads(said.stdout)["outputs"]] == [True]


def test_the_library_needs_no_library_of_vulkan(vulkan_out):
    with (vulkan_out / ABI / "lib/libtorchlite.so").open("rb") as stream:
        tags = ELFFile(stream).get_section_by_name(".dynamic").iter_tags("DT_NEEDED")
        assert not [tag.needed for tag in tags if "vulkan" in tag.needed]


LIST_DEVICES = """\
import ctypes, sys
listed = ctypes.CDLL(sys.argv[1]).torchlite_devices
listed.restype = ctypes.POINTER(ctypes.c_char_p)
count = ctypes.c_size_t()
names = listed(ctypes.byref(count))
print(*(names[place].decode() for place in range(count.value)), names[count.value])
"""


@pytest.mark.parametrize(
    ("environment", "devices"), [(ON_LAVAPIPE, "cpu vulkan None"), (WITHOUT_DEVICE, "cpu None")]
)
def test_the_runtime_says_where_models_can_run(vulkan_out, environment, devices):
    command = (sys.executable, "-c", LIST_DEVICES, vulkan_out / ABI / "lib/libtorchlite.so")
    environment = {**os.environ, **environment}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[0] == devices


def test_without_a_device_loading_fails_with_the_reason(vulkan_out):
    said = run_builder(
        *("verify", MODELS / "mlp.ptl", "--runtime", vulkan_out), check=False, env=WITHOUT_DEVICE
    )
    assert said.returncode == 8
    assert f"{MODELS / 'mlp.ptl'}: Vulkan: this device has no driver for Vulkan" in said.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_validation_layer_has_nothing_to_say(vulkan_out, tmp_path, name):
    library, program = (vulkan_out / ABI / "lib", vulkan_out / ABI / "bin/torchlite-run")
    (given,) = read_reference(MODELS / f"{name}.ptl.reference.safetensors").inputs
    sizes = given.spec.shape
    (tmp_path / "input.bin").write_bytes(given.data)
    command = (
        *(program, MODELS / f"{name}.ptl", "--output-dir", tmp_path),
        *("--input", f"float32:{'x'.join(map(str, sizes))}:{tmp_path / 'input.bin'}"),
    )
    run_validated(command, {"LD_LIBRARY_PATH": str(library)}, check=True)


def test_the_linker_takes_the_shaders_that_are_reached(vulkan_out, tmp_path):
    run_builder("build", MODELS / "mlp.ptl", "--abi", ABI, *FLOAT, "-o", tmp_path / "out")
    names = ("mm", "glu_channel_mul4")
    found = []
    for folder in (vulkan_out, tmp_path / "out"):
        content = (folder / ABI / "lib/libtorchlite.so").read_bytes()
        found.append([name for name in names if f"\0{name}\0".encode() in content])
    assert found == [list(names), ["mm"]]
