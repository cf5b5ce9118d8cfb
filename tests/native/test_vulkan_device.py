"""What runtimes for Vulkan ask of a device: its formats, its pipelines kept in a file; and Java."""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from builder import api
from builder.api.link import WantedLibraries, link_libraries, plan_target
from builder.core.plan import BuildRequest, Interface
from builder.platforms.android.java import compile_library
from builder.system.progress import Silent
from builder.system.reference_cases import read_reference

from . import java as java_tools
from .conftest import ABI, HERE, run_builder
from .java import TESTS, compile_tests, java, runner
from .vulkan_runs import (
    MODELS,
    NAMES,
    ON_LAVAPIPE,
    VALIDATED,
    WITHOUT_DEVICE,
    refuse_complaints,
)

pytestmark = [pytest.mark.host, pytest.mark.vulkan]
MODEL = MODELS / "mlp.ptl"
FORMATS = {"fp32": 109, "fp16": 97}
"""VK_FORMAT_R32G32B32A32_SFLOAT and VK_FORMAT_R16G16B16A16_SFLOAT (vulkan_core.h)."""


EVERY_PRECISION = os.environ.get("BUILDER_VULKAN_PRECISIONS") == "all"
"""A runtime with 16 bits is built and run too; that compiles for long."""
PRECISIONS = [
    "fp32",
    pytest.param(
        "fp16",
        marks=pytest.mark.skipif(
            not EVERY_PRECISION, reason="BUILDER_VULKAN_PRECISIONS=all builds it"
        ),
    ),
]


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A runtime with 16 bits."""
    folder = tmp_path_factory.mktemp("half") / "out"
    models = [MODELS / f"{name}.ptl" for name in NAMES]
    run_builder("build", *models, "--abi", ABI, "--vulkan-precision", "fp16", "-o", folder)
    return folder


@pytest.fixture(scope="module")
def layer(tmp_path_factory):
    """The environment with a layer that stands between the loader and the driver."""
    folder = tmp_path_factory.mktemp("layer")
    library = folder / "liblayer.so"
    compiler = api.locate_toolchain(api.locate_target(ABI)).cc.path
    source = HERE / "vulkan_layer.c"
    subprocess.run((compiler, "-shared", "-fPIC", source, "-o", library), check=True)
    described = {
        "name": "VK_LAYER_TORCHLITE_test",
        "type": "GLOBAL",
        "library_path": str(library),
        "api_version": "1.3.0",
        "implementation_version": "1",
        "description": "for tests",
    }
    (folder / "layer.json").write_text(
        json.dumps({"file_format_version": "1.1.2", "layer": described})
    )
    return {"VK_LAYER_PATH": str(folder), "VK_INSTANCE_LAYERS": described["name"], **ON_LAVAPIPE}


def verify(out, model, tolerance, *, check=True, env=ON_LAVAPIPE):
    options = ("--runtime", out, "--tolerance", tolerance, "--json")
    return run_builder("verify", model, *options, check=check, env=env)


@pytest.mark.skipif(not EVERY_PRECISION, reason="BUILDER_VULKAN_PRECISIONS=all builds it")
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_computes_with_about_three_digits(half, name):
    found = json.loads(verify(half, MODELS / f"{name}.ptl", "0.02").stdout)
    (most,) = [one["max_relative"] for one in found["outputs"]]
    assert 1e-6 < most <= 0.02  # with 32 bits, it is below that


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_device_without_the_format_is_refused_when_a_model_is_loaded(request, layer, precision):
    fixture, bits = {"fp32": ("vulkan_out", 32), "fp16": ("half", 16)}[precision]
    out = request.getfixturevalue(fixture)
    absent = {**layer, "ABSENT_FORMAT": str(FORMATS[precision])}
    said = verify(out, MODEL, "0.02", check=False, env=absent)
    assert said.returncode == 8
    assert f"computes with no images of {bits}-bit floating-point numbers" in said.stderr
    (other,) = FORMATS.keys() - {precision}
    verify(out, MODEL, "0.02", env={**layer, "ABSENT_FORMAT": str(FORMATS[other])})


CALL = """\
import ctypes, sys

class Tensor(ctypes.Structure):
    _fields_ = [
        ("dtype", ctypes.c_int), ("dims", ctypes.c_int32),
        ("sizes", ctypes.POINTER(ctypes.c_int64)), ("data", ctypes.c_void_p),
    ]

def check(status):
    assert status == 0, library.torchlite_error()

library = ctypes.CDLL(sys.argv[1])
library.torchlite_error.restype = ctypes.c_char_p
order, path, model = sys.argv[2], sys.argv[3].encode(), sys.argv[4].encode()
if order == "before":
    check(library.torchlite_set_pipeline_cache(path))
module, result, tensor = ctypes.c_void_p(), ctypes.c_void_p(), Tensor()
data = (ctypes.c_float * 16)(*(n / 16 for n in range(16)))
given = Tensor(6, 2, (ctypes.c_int64 * 2)(2, 8), ctypes.cast(data, ctypes.c_void_p))
check(library.torchlite_load(model, ctypes.byref(module)))
if order == "after":
    check(library.torchlite_set_pipeline_cache(path))
if order == "dropped":
    check(library.torchlite_set_pipeline_cache(path))
    check(library.torchlite_set_pipeline_cache(None))
check(library.torchlite_forward(module, ctypes.byref(given), 1, ctypes.byref(result)))
check(library.torchlite_result_tensor(result, 0, ctypes.byref(tensor)))
print(ctypes.string_at(tensor.data, 4).hex())
"""


@pytest.fixture
def call(vulkan_out, layer):
    """Runs the model in a process, and returns what it computed and what pipelines began with."""

    def run(path, *, order="before", environment=None):
        library = vulkan_out / ABI / "lib/libtorchlite.so"
        said = subprocess.run(
            (sys.executable, "-c", CALL, library, order, path, MODEL),
            env={**os.environ, **(layer if environment is None else environment)},
            capture_output=True,
            text=True,
            check=True,
        )
        return said.stdout, said.stderr.splitlines()

    return run


NONE, KEPT = ["pipelines: 0 bytes"], ["pipelines: 32 bytes"]
"""lavapipe keeps no pipelines: its data is the header that Vulkan asks of all drivers."""


def test_pipelines_are_kept_in_a_file(call, tmp_path):
    path = tmp_path / "pipelines"
    first = call(path)
    assert first[1] == NONE
    before = path.stat()
    assert before.st_mode & 0o777 == 0o600
    assert call(path) == (first[0], KEPT)
    after = path.stat()
    # What is there already is not written again.
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [one.name for one in tmp_path.iterdir()] == ["pipelines"]


def test_a_file_that_is_named_late_is_read_and_written_too(call, tmp_path):
    path = tmp_path / "pipelines"
    assert call(path, order="after")[1] == NONE
    content = path.read_bytes()
    assert call(path, order="after")[1] == [*NONE, *KEPT]
    assert path.read_bytes() == content
    call(tmp_path / "other", order="dropped")
    assert (tmp_path / "other").read_bytes() == content
    assert call(tmp_path / "none/pipelines")[1] == NONE


def seal(content, **changes):
    """Returns the file with changes in its data, or in its header, and a right checksum."""
    magic, vendor, device, driver, uuid, _, _ = struct.unpack("<8sIII16sIQ", content[:48])
    data = changes.pop("data", content[48:])
    values = {"vendor": vendor, "device": device, "driver": driver, "uuid": uuid, **changes}
    checksum = zlib.crc32(data)
    return struct.pack("<8sIII16sIQ", magic, *values.values(), checksum, len(data)) + data


BROKEN = {
    "empty": lambda content: b"",
    "short": lambda content: content[:-1],
    "long": lambda content: content + b"\0",
    "header": lambda content: content[:47],
    "other": lambda content: b"PK\x03\x04" + bytes(100),
    "large": lambda content: content + bytes(65 << 20),
    "bit": lambda content: content[:60] + bytes([content[60] ^ 1]) + content[61:],
    "vendor": lambda content: seal(content, vendor=0x10DE),
    "device": lambda content: seal(content, device=7),
    "driver": lambda content: seal(content, driver=7),
    "uuid": lambda content: seal(content, uuid=bytes(16)),
    # Another driver's data under this one's header.
    "foreign": lambda content: seal(content, data=content[48:64] + bytes(16)),
    "size": lambda content: seal(content, data=b"\xff\xff\xff\xff" + content[52:]),
    "nothing": lambda content: seal(content, data=b""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_this_driver_did_not_write_is_ignored_and_replaced(call, tmp_path, name):
    path = tmp_path / "pipelines"
    first = call(path)
    content = path.read_bytes()
    assert seal(content) == content
    path.write_bytes(BROKEN[name](content))
    assert call(path) == first
    assert path.read_bytes() == content


def test_a_name_that_is_no_file_is_no_error(call, tmp_path):
    first = call(tmp_path / "pipelines")
    (tmp_path / "folder").mkdir()
    for name in ("folder", "missing/pipelines"):
        assert call(tmp_path / name) == first
    os.mkfifo(tmp_path / "pipe")
    assert call(tmp_path / "pipe") == first
    assert (tmp_path / "pipe").is_file()


def test_the_validation_layer_has_nothing_to_say_of_kept_pipelines(call, tmp_path):
    for order in ("before", "before", "after"):
        _, said = call(tmp_path / "pipelines", order=order, environment=VALIDATED)
        assert any("VK_LAYER_KHRONOS_validation" in line for line in said)
        assert not [line for line in said if "VUID" in line or "Validation" in line]


@pytest.fixture(scope="module")
def java_library(tmp_path_factory):
    """The classes with a program that runs models, and the library for Java."""
    request, target = BuildRequest(inputs=(MODEL,)), api.locate_target(ABI)
    planned = plan_target(request, target, Interface.JNI, progress=Silent())
    wanted = WantedLibraries(planned=planned, request=request, interfaces=[Interface.JNI])
    with link_libraries([wanted], progress=Silent()) as (linked,):
        library = linked[Interface.JNI].linked.library
    folder = tmp_path_factory.mktemp("java")
    compile_library(java_tools.java_folder(), folder / "api", java_tools.jdk(), runner=runner)
    compile_tests([TESTS / "RunModel.java"], folder / "tests", [folder / "api"])
    return [folder / "tests", folder / "api"], library


@pytest.mark.jdk
@pytest.mark.parametrize("loader", ["Module", "LiteModuleLoader"])
def test_java_loads_models_on_the_gpu(java_library, tmp_path, monkeypatch, loader):
    classes, library = java_library
    case = read_reference(Path(f"{MODEL}.reference.safetensors"))
    (given,), (wanted,) = case.inputs, case.outputs
    (tmp_path / "input").write_bytes(given.data)

    def call(device, *, check=True):
        return java(
            classes,
            "RunModel",
            *(MODEL, tmp_path / "input", tmp_path / "output", *given.spec.shape),
            library=library,
            properties=(
                *(f"-Ddevice={device}", f"-Dloader={loader}"),
                f"-Dpipelines={tmp_path / 'pipelines'}",
            ),
            check=check,
        )

    for name, value in VALIDATED.items():
        monkeypatch.setenv(name, value)
    refuse_complaints(call("VULKAN"))
    found = np.fromfile(tmp_path / "output", np.float32)
    np.testing.assert_allclose(found, np.frombuffer(wanted.data, np.float32), atol=1e-5)
    assert (tmp_path / "pipelines").read_bytes().startswith(b"TLPIPES1")
    monkeypatch.setenv("VK_ICD_FILENAMES", WITHOUT_DEVICE["VK_ICD_FILENAMES"])
    said = call("VULKAN", check=False)
    assert said.returncode != 0
    assert "this device has no GPU that Vulkan can use" in said.stderr
