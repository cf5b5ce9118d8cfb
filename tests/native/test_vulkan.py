"""Runtimes for Vulkan: models on the CPU by Mesa's lavapipe, and what happens without a device."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from builder.system.reference_cases import read_reference
from tests.conftest import LAVAPIPE

from .conftest import ABI, run_builder

pytestmark = [pytest.mark.host, pytest.mark.vulkan]
MODELS = Path(__file__).parents[1] / "data/vulkan"
NAMES = ("attention", "conv1d", "mlp", "norms", "pool", "transposed", "unet")
ON_LAVAPIPE = {"VK_ICD_FILENAMES": ":".join(map(str, LAVAPIPE.glob("lvp_*")))}
"""Names the driver, so that no real GPU is taken."""
WITHOUT_DEVICE = {"VK_ICD_FILENAMES": "/nonexistent.json"}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The runtime of all models, which needs no option: the models say that they are for Vulkan."""
    folder = tmp_path_factory.mktemp("vulkan") / "out"
    models = [MODELS / f"{name}.ptl" for name in NAMES]
    run_builder("build", *models, "--abi", ABI, "-o", folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_models_compute_what_eager_pytorch_does(out, name):
    model = MODELS / f"{name}.ptl"
    said = run_builder(
        *("verify", model, "--runtime", out, "--tolerance", "1e-5", "--json"), env=ON_LAVAPIPE
    )
    assert [one["max_relative"] <= 1e-5 for one in json.loads(said.stdout)["outputs"]] == [True]


def test_the_library_needs_no_library_of_vulkan(out):
    with (out / ABI / "lib/libtorchlite.so").open("rb") as stream:
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
def test_the_runtime_says_where_models_can_run(out, environment, devices):
    command = (sys.executable, "-c", LIST_DEVICES, out / ABI / "lib/libtorchlite.so")
    environment = {**os.environ, **environment}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split("\n")[0] == devices


def test_without_a_device_loading_fails_with_the_reason(out):
    said = run_builder(
        *("verify", MODELS / "mlp.ptl", "--runtime", out), check=False, env=WITHOUT_DEVICE
    )
    assert said.returncode == 8
    assert f"{MODELS / 'mlp.ptl'}: Vulkan: this device has no driver for Vulkan" in said.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_validation_layer_has_nothing_to_say(out, tmp_path, name):
    library, program = (out / ABI / "lib", out / ABI / "bin/torchlite-run")
    (given,) = read_reference(MODELS / f"{name}.ptl.reference.safetensors").inputs
    sizes = given.spec.shape
    (tmp_path / "input.bin").write_bytes(given.data)
    command = (
        *(program, MODELS / f"{name}.ptl", "--output-dir", tmp_path),
        *("--input", f"float32:{'x'.join(map(str, sizes))}:{tmp_path / 'input.bin'}"),
    )
    layer = {"VK_INSTANCE_LAYERS": "VK_LAYER_KHRONOS_validation", "VK_LOADER_DEBUG": "layer"}
    environment = {**os.environ, **ON_LAVAPIPE, **layer, "LD_LIBRARY_PATH": str(library)}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "VK_LAYER_KHRONOS_validation" in said.stderr  # the loader says that it is there
    assert not re.search("VUID|Validation (Error|Warning)", said.stdout + said.stderr)


def test_the_linker_takes_the_shaders_that_are_reached(out):
    content = (out / ABI / "lib/libtorchlite.so").read_bytes()
    there = {
        name
        for name in ("mm", "conv1d", "glu_channel", "quantized_mm")
        if f"\0{name}\0".encode() in content
    }
    assert there == {"mm", "conv1d"}
