"""Packed operators compare what they are given, and what their file says, before they compute."""

import os
import struct
import subprocess
from math import prod

import pytest

from builder.api.toolchains import locate_target, locate_toolchain

from .conftest import ABI

pytestmark = [pytest.mark.torch, pytest.mark.host]

WIDTH = {"float32": 4, "float64": 8, "int32": 4, "int64": 8, "uint8": 1}


def run(root, model, dtype, sizes, folder, *options, data=None, env=None):
    """Runs a model on zeros or `data`; returns what the runner said and its first output."""
    folder.mkdir(exist_ok=True)
    (folder / "input").write_bytes(data or bytes(WIDTH[dtype] * prod(sizes)))
    shape = "x".join(map(str, sizes))
    command = [root / "bin/torchlite-run", model, "--input", f"{dtype}:{shape}:{folder / 'input'}"]
    said = subprocess.run(
        [*command, "--output-dir", folder, *options],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **(env or {})},
    )
    output = folder / "output.0.bin"
    return said, output.read_bytes() if said.returncode == 0 else b""


@pytest.fixture(scope="module")
def plain(built, tmp_path_factory):
    """The runtime of all native tests, and files of XNNPACK's operators for it."""
    from . import packed_models

    folder = tmp_path_factory.mktemp("packed")
    models = packed_models.make_float_models()
    files = {
        name: packed_models.save(module, sizes, folder / f"{name}.ptl")
        for name, (module, sizes) in models.items()
    }
    return built.root, models, files


@pytest.fixture(scope="module")
def quantised(built_quantised):
    """The runtime of QNNPACK's operators, and files of them for it."""
    return built_quantised.root, built_quantised.packed, built_quantised.files


def check_numbers(made, name, folder, tolerance):
    import torch

    root, models, files = made
    module, sizes = models[name]
    given = torch.randn(sizes)
    said, output = run(root, files[name], "float32", sizes, folder, data=given.numpy().tobytes())
    assert said.returncode == 0, said.stderr
    with torch.no_grad():
        wanted = module(given).flatten()
    numbers = torch.tensor(struct.unpack(f"<{len(output) // 4}f", output))
    assert numbers.shape == wanted.shape
    assert (numbers - wanted).abs().max() <= tolerance


def check_refusal(made, name, dtype, sizes, text, folder):
    root, _, files = made
    said, _ = run(root, files[name], dtype, sizes, folder)
    assert said.returncode == 1, (said.returncode, said.stdout)
    assert text in said.stderr


NAMES = ("conv", "strided", "depthwise", "banded", "stepped", "linear", "narrow", "transposed")


@pytest.mark.parametrize("name", NAMES)
def test_right_tensors_give_pytorchs_numbers(plain, name, tmp_path):
    check_numbers(plain, name, tmp_path / "run", 1e-5)


@pytest.mark.parametrize("name", ["rows", "pictures", "channels", "steps"])
def test_vectors_of_the_processor_give_pytorchs_numbers(quantised, name, tmp_path):
    check_numbers(quantised, name, tmp_path / "run", {"rows": 1e-4, "steps": 1e-6}.get(name, 0))


@pytest.mark.parametrize(
    ("name", "dtype", "sizes", "text"),
    [
        ("conv", "float32", (1, 1, 8, 8), "has 1 channel, the model takes 3"),
        ("conv", "float32", (1, 2, 8, 8), "has 2 channels, the model takes 3"),
        ("conv", "float32", (1, 4, 8, 8), "has 4 channels, the model takes 3"),
        ("conv", "float32", (1, 5, 8, 8), "has 5 channels, the model takes 3"),
        ("conv", "float32", (1, 8, 8, 3), "has 8 channels, the model takes 3: channels are the"),
        ("conv", "float32", (8, 8), "has 2 dimensions, the model takes 4 ([N, 3, H, W])"),
        ("conv", "float32", (3, 8, 8), "has 3 dimensions, the model takes 4 ([N, 3, H, W])"),
        ("conv", "float32", (1, 1, 3, 8, 8), "has 5 dimensions, the model takes 4 ([N, 3, H, W])"),
        ("conv", "float32", (1, 3, 2, 2), "is 2x2, smaller than the model's 3x3 kernel"),
        ("conv", "float32", (1, 3, 1, 9), "is 1x9, smaller than the model's 3x3 kernel"),
        ("conv", "float32", (1, 3, 9, 1), "is 9x1, smaller than the model's 3x3 kernel"),
        ("conv", "int32", (1, 3, 8, 8), "is int32, the model takes float32"),
        ("conv", "float64", (1, 3, 8, 8), "is float64, the model takes float32"),
        ("conv", "uint8", (1, 3, 8, 8), "is uint8, the model takes float32"),
        ("strided", "float32", (1, 3, 2, 2), "is 2x2, smaller than the model's 5x5 kernel"),
        ("depthwise", "float32", (1, 3, 8, 8), "has 3 channels, the model takes 4"),
        ("depthwise", "float32", (1, 1, 8, 8), "has 1 channel, the model takes 4"),
        ("depthwise", "float32", (1, 4, 2, 8), "is 2x8, smaller than the model's 3x3 kernel"),
        ("transposed", "float32", (1, 2, 8, 8), "has 2 channels, the model takes 4"),
        ("transposed", "float32", (1, 6, 8, 8), "has 6 channels, the model takes 4"),
        ("transposed", "float32", (4, 8, 8), "has 3 dimensions, the model takes 4 ([N, 4, H, W])"),
        ("transposed", "int64", (1, 4, 8, 8), "is int64, the model takes float32"),
        ("linear", "float32", (2, 3), "has 3 features, the model takes 4"),
        ("linear", "float32", (2, 5), "has 5 features, the model takes 4"),
        ("linear", "float32", (4, 1), "has 1 feature, the model takes 4"),
        ("linear", "float32", (2, 0), "has 0 features, the model takes 4"),
        ("conv", "float32", (1, 3, 0, 8), "is 0x8, the model takes no empty images"),
        ("linear", "float64", (2, 4), "is float64, the model takes float32"),
    ],
)
def test_what_does_not_fit_is_refused(plain, name, dtype, sizes, text, tmp_path):
    check_refusal(plain, name, dtype, sizes, text, tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "sizes"), [("linear", (4,)), ("linear", (2, 5, 4)), ("conv", (0, 3, 8, 8))]
)
def test_unusual_tensors_that_fit_run(plain, name, sizes, tmp_path):
    root, _, files = plain
    said, output = run(root, files[name], "float32", sizes, tmp_path / "run")
    assert said.returncode == 0, said.stderr
    assert len(output) == {"linear": prod(sizes) * 3, "conv": 0}[name]


# Of the state (xnnpack/RegisterOpContextClass.cpp): weight, bias, stride, padding, dilation,
# groups, least and greatest output; a transposed one has its output padding after padding.
CONV = {
    "no_stride": lambda state, to: state.items.__setitem__(2, to.ints(0, 0)),
    "negative_stride": lambda state, to: state.items.__setitem__(2, to.ints(-1, 1)),
    "stride_of_33_bits": lambda state, to: state.items.__setitem__(2, to.ints(2**32 + 1, 1)),
    "three_strides": lambda state, to: state.items.__setitem__(2, to.ints(1, 1, 1)),
    "negative_padding": lambda state, to: state.items.__setitem__(3, to.ints(0, -(2**31))),
    "padding_of_40_bits": lambda state, to: state.items.__setitem__(3, to.ints(2**40, 2**40)),
    "no_dilation": lambda state, to: state.items.__setitem__(4, to.ints(0, 1)),
    "dilation_of_32_bits": lambda state, to: state.items.__setitem__(4, to.ints(2**31, 2**31)),
    "no_groups": lambda state, to: state.items.__setitem__(5, 0),
    "negative_groups": lambda state, to: state.items.__setitem__(5, -1),
    "groups_that_do_not_divide": lambda state, to: state.items.__setitem__(5, 3),
    "groups_of_33_bits": lambda state, to: state.items.__setitem__(5, 2**32 + 1),
    "limits_reversed": lambda state, to: state.items.__setitem__(slice(6, 8), [1.0, -1.0]),
    "a_limit_that_is_no_number": lambda state, to: state.items.__setitem__(6, float("nan")),
    "weights_of_three_dimensions": lambda state, to: to.resize(state.items[0], 4, 3, 9),
    "weights_of_no_output": lambda state, to: to.resize(state.items[0], 0, 3, 3, 3),
    "weights_of_no_input": lambda state, to: to.resize(state.items[0], 4, 0, 3, 3),
    "weights_of_no_kernel": lambda state, to: to.resize(state.items[0], 4, 3, 0, 3),
    "weights_beyond_memory": lambda state, to: to.resize(
        state.items[0], 2**20, 2**20, 3, 3, strides=(0, 0, 0, 0)
    ),
    "weights_as_bias": lambda state, to: state.items.__setitem__(1, state.items[0]),
    "bias_as_weights": lambda state, to: state.items.__setitem__(0, state.items[1]),
    "a_shorter_bias": lambda state, to: to.resize(state.items[1], 3),
    "a_bias_of_no_dimension": lambda state, to: to.resize(state.items[1]),
    "no_weights": lambda state, to: state.items.__setitem__(0, None),
    "a_shorter_state": lambda state, to: state.items.pop(),
}
TRANSPOSED = {
    "output_padding_of_stride": lambda state, to: state.items.__setitem__(4, to.ints(2, 2)),
    "negative_output_padding": lambda state, to: state.items.__setitem__(4, to.ints(-1, 0)),
    "groups_that_do_not_divide": lambda state, to: state.items.__setitem__(6, 3),
    "a_shorter_bias": lambda state, to: to.resize(state.items[1], 3),
}
LINEAR = {
    "weights_of_four_dimensions": lambda state, to: to.resize(state.items[0], 3, 2, 2, 1),
    "weights_of_no_input": lambda state, to: to.resize(state.items[0], 3, 0),
    "weights_of_no_output": lambda state, to: to.resize(state.items[0], 0, 4),
    "a_longer_bias": lambda state, to: state.items.__setitem__(1, state.items[0]),
    "a_shorter_bias": lambda state, to: to.resize(state.items[1], 2),
    "limits_reversed": lambda state, to: state.items.__setitem__(slice(2, 4), [1.0, -1.0]),
}


def check_load_failure(made, name, change, folder, sizes):
    from . import packed_models

    root, _, files = made
    model = packed_models.spoil(
        files[name], lambda state: change(state, packed_models), folder / "spoiled.ptl"
    )
    said, _ = run(root, model, "float32", sizes, folder / "run")
    assert said.returncode == 1, (said.returncode, said.stdout)
    return said.stderr


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param(name, change, id=f"{name}-{label}")
        for name, changes in (("conv", CONV), ("transposed", TRANSPOSED), ("linear", LINEAR))
        for label, change in changes.items()
    ],
)
def test_impossible_weights_are_refused(plain, name, change, tmp_path):
    said = check_load_failure(plain, name, change, tmp_path, plain[1][name][1]).strip()
    assert said
    assert "report" not in said


def test_the_refusal_of_weights_says_what_is_wrong(plain, tmp_path):
    said = check_load_failure(plain, "conv", CONV["no_stride"], tmp_path, (1, 3, 8, 8))
    assert "kernel, stride, padding or dilation of packed weights is out of range" in said
    said = check_load_failure(plain, "linear", LINEAR["a_shorter_bias"], tmp_path, (2, 4))
    assert "a bias does not fit its packed weights" in said


def test_an_unspoiled_copy_runs(plain, tmp_path):
    from . import packed_models

    root, _, files = plain
    model = packed_models.spoil(files["conv"], lambda state: None, tmp_path / "copy.ptl")
    said, _ = run(root, model, "float32", (1, 3, 8, 8), tmp_path / "run")
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize(("name", "tolerance"), [("convolutions", 0.05), ("dynamic", 0.05)])
def test_quantised_operators_give_pytorchs_numbers(quantised, name, tolerance, tmp_path):
    check_numbers(quantised, name, tmp_path / "run", tolerance)


@pytest.mark.parametrize(
    ("name", "dtype", "sizes", "text"),
    [
        ("convolutions", "float32", (1, 1, 16, 16), "has 1 channel, the model takes 3"),
        ("convolutions", "float32", (1, 4, 16, 16), "has 4 channels, the model takes 3"),
        ("convolutions", "float32", (1, 16, 16, 3), "has 16 channels, the model takes 3"),
        ("convolutions", "float32", (3, 16, 16), "has 3 dimensions, the model takes 4"),
        ("convolutions", "float32", (1, 3, 2, 16), "is 2x16, smaller than the model's 3x3 kernel"),
        ("convolutions", "float32", (1, 3, 4, 4), "is 2x2, smaller than the model's 3x3 kernel"),
        ("dynamic", "float32", (2, 3), "has 3 features, the model takes 4"),
        ("dynamic", "float32", (2, 5), "has 5 features, the model takes 4"),
        ("dynamic", "float32", (4,), "has 1 dimension, the model takes 2 or more"),
        ("dynamic", "float64", (2, 4), "is float64, the model takes float32"),
    ],
)
def test_quantised_operators_refuse_what_does_not_fit(
    quantised, name, dtype, sizes, text, tmp_path
):
    check_refusal(quantised, name, dtype, sizes, text, tmp_path / "run")


def config(*values):
    """Other parameters of a quantised convolution; they are int16 (conv_serialization.h)."""
    record = struct.pack(f"<{len(values)}h", *values)
    return lambda state, to: {state_name(state): record}


def state_name(state):
    """The record of the first tensor in the list of a quantised convolution's tensors."""
    tensors = state.items[1].items[1].items[0].items
    return "constants/" + tensors[0].items[1].items[0].items[0].items[2]


def tensors_of(state):
    return state.items[1].items[1].items[0].items


# Dimensions, then stride, padding, dilation and output padding of each, groups, transposed: of the
# transposed convolution, whose constant is the first.
GOOD = (2, 2, 2, 0, 0, 1, 1, 0, 0, 1, 1)
QUANTISED = {
    "no_stride": ("convolutions", config(2, 0, 2, *GOOD[3:])),
    "negative_stride": ("convolutions", config(2, -1, 2, *GOOD[3:])),
    "negative_padding": ("convolutions", config(*GOOD[:3], -1, 0, *GOOD[5:])),
    "no_dilation": ("convolutions", config(*GOOD[:5], 0, 1, *GOOD[7:])),
    "no_groups": ("convolutions", config(*GOOD[:9], 0, 1)),
    "negative_groups": ("convolutions", config(*GOOD[:9], -2, 1)),
    "groups_that_do_not_divide": ("convolutions", config(*GOOD[:9], 3, 1)),
    "not_transposed_by_lie": ("convolutions", config(*GOOD[:9], 1, 0)),
    "other_flags": ("convolutions", config(*GOOD[:9], 1, 3)),
    "parameters_that_end_early": (
        "convolutions",
        lambda state, to: to.resize(tensors_of(state)[0], 5),
    ),
    "no_tensors": ("convolutions", lambda state, to: tensors_of(state).clear()),
    "one_tensor": ("convolutions", lambda state, to: tensors_of(state).pop()),
    "a_state_of_one": ("convolutions", lambda state, to: state.items.__delitem__(slice(1, 3))),
    "weights_of_three_dimensions": (
        "convolutions",
        lambda state, to: to.resize(tensors_of(state)[1], 8, 3, 9),
    ),
    "weights_of_no_output": (
        "convolutions",
        lambda state, to: to.resize(tensors_of(state)[1], 0, 3, 3, 3),
    ),
    "fewer_outputs_than_bias": (
        "convolutions",
        lambda state, to: to.resize(tensors_of(state)[1], 4, 3, 3, 3),
    ),
    "weights_as_bias_of_linear": (
        "dynamic",
        lambda state, to: state.items.__setitem__(1, state.items[0]),
    ),
    "a_shorter_bias_of_linear": ("dynamic", lambda state, to: to.resize(state.items[1], 2)),
    "linear_weights_of_one_dimension": (
        "dynamic",
        lambda state, to: to.resize(state.items[0], 12),
    ),
    "linear_weights_of_no_input": ("dynamic", lambda state, to: to.resize(state.items[0], 3, 0)),
}


@pytest.mark.parametrize("label", QUANTISED)
def test_impossible_quantised_weights_are_refused(quantised, label, tmp_path):
    name, change = QUANTISED[label]
    assert check_load_failure(quantised, name, change, tmp_path, quantised[1][name][1]).strip()


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* As a system that has only so many threads. */
int pthread_create(pthread_t* t, const pthread_attr_t* a, void* (*f)(void*), void* x) {
  static int made;
  int (*create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  if (made >= atoi(getenv("THREADS_THERE_ARE"))) return EAGAIN;
  made++;
  *(void**)&create = dlsym(RTLD_NEXT, "pthread_create");
  return create(t, a, f, x);
}
"""


@pytest.mark.parametrize("there_are", ["0", "1", "3"])
def test_it_runs_with_the_threads_that_there_are(built, there_are, tmp_path):
    (tmp_path / "shim.c").write_text(SHIM)
    clang = locate_toolchain(locate_target(ABI)).cc.path
    shim = tmp_path / "shim.so"
    subprocess.run([clang, "-shared", "-fPIC", tmp_path / "shim.c", "-o", shim, "-ldl"], check=True)
    sizes = (1, 3, 224, 224)
    model = built.models["mobilenet_v2"]
    _, wanted = run(built.root, model, "float32", sizes, tmp_path / "one", "--threads", "1")
    said, output = run(
        *(built.root, model, "float32", sizes, tmp_path / "run", "--threads", "4"),
        env={"LD_PRELOAD": str(shim), "THREADS_THERE_ARE": there_are},
    )
    assert said.returncode == 0, said.stderr
    assert output == wanted


def test_states_of_different_layers_are_refused(quantised, tmp_path):
    text = "lstm: the two hidden states are of 2 and 1 layers"
    check_refusal(quantised, "states", "float32", (5, 1, 4), text, tmp_path / "run")


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ((), "a packed sequence has at least one batch size"),
        ((2, 3), "the batch sizes of a packed sequence do not decrease"),
        ((3, -1, 1), "the batch sizes of a packed sequence do not decrease"),
    ],
)
def test_batches_that_grow_are_refused(quantised, sizes, text, tmp_path):
    root, _, files = quantised
    data = struct.pack(f"<{len(sizes)}q", *sizes)
    said, _ = run(root, files["unpacked"], "int64", (len(sizes),), tmp_path / "run", data=data)
    assert said.returncode == 1, (said.returncode, said.stdout)
    assert text in said.stderr


def test_batches_that_shrink_are_padded(quantised, tmp_path):
    root, _, files = quantised
    data = struct.pack("<3q", 2, 2, 1)
    said, output = run(root, files["unpacked"], "int64", (3,), tmp_path / "run", data=data)
    assert said.returncode == 0, said.stderr
    assert struct.unpack("<6f", output) == (1, 1, 1, 1, 1, 0)


def test_what_runs_on_no_kernel_is_told_without_words_for_others(quantised, tmp_path):
    """QuantStub was forgotten: quantised operators get floats."""
    text = "Could not run 'quantized::add' with arguments from the 'CPU' backend."
    root, _, files = quantised
    data = struct.pack("<4f", 1, 2, 3, 4)
    said, _ = run(root, files["forgotten"], "float32", (4,), tmp_path / "run", data=data)
    assert said.returncode == 1
    assert text in said.stderr
    assert not any(word in said.stderr for word in ("employee", "fburl", "pytorch.org", ".cpp"))
