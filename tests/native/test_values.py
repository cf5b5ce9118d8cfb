"""Values in values through the C API, and a flatbuffer file: one runtime for all."""

import json
import subprocess

import numpy as np
import pytest

from builder.api.toolchains import locate_target, locate_toolchain

from .conftest import ABI, FLOAT, run_builder
from .models import everything

pytestmark = [pytest.mark.torch, pytest.mark.host]
NESTED = (
    *("--input", "[(float32[2,3], float32[3,2]), (float32[1,4], float32[4,1])]"),
    *("--input", "{'one': float32[2], 'another key': int64[3]}", "--input", "0.5", "--input", "2"),
)
SPOKEN = (
    *("--input", "['hello', '.', '']", "--input", "mask=float32[3]"),
    *("--method", "repeat=float32[2,3], 2", "--method", "initial"),
)
PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include <torchlite.h>

#define CHECK(line, truth) \
  if (!(truth)) { \
    printf("%d: %s\n", line, torchlite_error()); \
    return line; \
  }
#define RUN() torchlite_run_values(module, "forward", inputs, 5, &result)

static torchlite_value make(torchlite_kind kind) {
  torchlite_value value;
  memset(&value, 0, sizeof value);
  value.kind = kind;
  return value;
}

static torchlite_value group(
    torchlite_kind kind, size_t count, const torchlite_value* items, const char* const* keys) {
  torchlite_value value = make(kind);
  value.as.group.count = count;
  value.as.group.items = items;
  value.as.group.keys = keys;
  return value;
}

int main(int argc, char** argv) {
  torchlite_module* module = NULL;
  torchlite_result* result = NULL;
  float data[2] = {1, 2};
  int64_t sizes[1] = {2};
  torchlite_value tensor = make(TORCHLITE_VALUE_TENSOR), told;
  tensor.as.tensor = (torchlite_tensor){TORCHLITE_FLOAT32, 1, sizes, data};
  torchlite_value two[2] = {tensor, tensor};
  torchlite_value lists[2] = {group(TORCHLITE_VALUE_LIST, 2, two, NULL),
                              group(TORCHLITE_VALUE_LIST, 1, two, NULL)};
  const char* keys[2] = {"first", "second"};
  torchlite_value text = make(TORCHLITE_VALUE_STRING), truth = make(TORCHLITE_VALUE_BOOL);
  text.as.text = "the ";
  truth.as.integer = 1;
  torchlite_value integer = make(TORCHLITE_VALUE_INT);
  integer.as.integer = 3; /* an int where a float is wanted, as Python takes it */
  torchlite_value pair[2] = {truth, integer};
  torchlite_value real = make(TORCHLITE_VALUE_FLOAT);
  real.as.real = 0.25;
  torchlite_value reals[2] = {real, real};
  torchlite_value inputs[5] = {group(TORCHLITE_VALUE_DICT, 2, lists, keys), text,
                               make(TORCHLITE_VALUE_NONE),
                               group(TORCHLITE_VALUE_TUPLE, 2, pair, NULL),
                               group(TORCHLITE_VALUE_LIST, 2, reals, NULL)};
  CHECK(1, torchlite_load(argv[1], &module) == TORCHLITE_OK)
  CHECK(2, RUN() == TORCHLITE_OK)
  memset(data, 0, sizeof data);
  CHECK(3, torchlite_result_value(result, &told) == TORCHLITE_OK)
  CHECK(4, told.kind == TORCHLITE_VALUE_TUPLE && told.as.group.count == 5)
  const torchlite_value* out = told.as.group.items;
  CHECK(5, out[0].kind == TORCHLITE_VALUE_DICT && out[0].as.group.count == 2)
  CHECK(6, strcmp(out[0].as.group.keys[0], "the first") == 0)
  CHECK(7, strcmp(out[0].as.group.keys[1], "the second") == 0)
  CHECK(8, out[0].as.group.items[0].kind == TORCHLITE_VALUE_TENSOR)
  CHECK(9, *(const float*)out[0].as.group.items[0].as.tensor.data == 6.0f)
  CHECK(10, *(const float*)out[0].as.group.items[1].as.tensor.data == 3.0f)
  CHECK(11, out[1].kind == TORCHLITE_VALUE_LIST && out[1].as.group.count == 2)
  CHECK(12, strcmp(out[1].as.group.items[1].as.text, "\xc3\xa9") == 0)
  CHECK(13, out[2].kind == TORCHLITE_VALUE_NONE)
  CHECK(14, out[3].kind == TORCHLITE_VALUE_TUPLE && out[3].as.group.items[0].as.integer == 0)
  CHECK(15, out[3].as.group.items[1].as.real == 3.5)
  CHECK(16, ((const float*)out[4].as.tensor.data)[1] == 2.0f) /* no longer the caller's memory */
  CHECK(17, torchlite_result_count(result) == 5) /* numbers count, strings and None do not */
  torchlite_result_free(result);
  inputs[2] = integer;
  CHECK(18, RUN() == TORCHLITE_OK)
  CHECK(19, torchlite_result_value(result, &told) == TORCHLITE_OK)
  CHECK(20, told.as.group.items[2].as.integer == 3)
  torchlite_result_free(result);
  inputs[2].kind = (torchlite_kind)77;
  CHECK(21, RUN() == TORCHLITE_INVALID_ARGUMENT)
  CHECK(22, strstr(torchlite_error(), "input 2: the value has an unknown kind; the method") != NULL)
  inputs[2].kind = TORCHLITE_VALUE_NONE;
  keys[1] = NULL;
  CHECK(23, RUN() == TORCHLITE_INVALID_ARGUMENT)
  keys[1] = "second";
  two[1].as.tensor.data = NULL;
  CHECK(24, RUN() == TORCHLITE_INVALID_ARGUMENT)
  two[1] = text; /* a text among tensors */
  CHECK(25, RUN() == TORCHLITE_RUN_FAILED)
  two[1] = tensor;
  inputs[0] = tensor; /* a tensor where a dict is wanted */
  CHECK(26, RUN() == TORCHLITE_RUN_FAILED)
  CHECK(27, torchlite_run_values(module, "forward", inputs, 2, &result) == TORCHLITE_RUN_FAILED)
  torchlite_module_free(module);
  return 0;
}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("values")
    import torch

    from .keeping_models import write_overlapping

    names = ("nested", "everything", "flat")
    models = {name: folder / f"{name}.ptl" for name in names}
    run_builder("export", "models:nested", "--script", *NESTED, "-o", models["nested"])
    flat = ("--script", "--shape", "3,8", "--format", "flatbuffer", "-o", models["flat"])
    run_builder("export", "models:control_flow", *flat)
    # Strings are beyond `builder export`, which has nothing to compare them by.
    torch.jit.script(everything())._save_for_lite_interpreter(str(models["everything"]))
    models["speaker"] = folder / "speaker.ptl"
    run_builder(*("export", "models:speaker", "--via", "script", "-o", models["speaker"]), *SPOKEN)
    models["overlapping"] = write_overlapping(folder)
    models["attention"] = folder / "attention.ptl"
    run_builder("export", "models:attention", "--shape", "2,21,3,19", "-o", models["attention"])
    run_builder("build", *models.values(), "--abi", ABI, *FLOAT, "-o", folder / "out")
    return folder / "out", models


def test_micro_kernels_of_xnnpack_give_torchs_numbers(made):
    out, models = made
    run_builder("verify", models["attention"], "--runtime", out, "--tolerance", "1e-5")


def test_tensors_of_a_flatbuffer_share_no_memory(made, tmp_path):
    out, models = made
    (tmp_path / "x").write_bytes(np.full(1000, 7, "<f4").tobytes())
    given = ("--input", f"float32:1000:{tmp_path / 'x'}", "--repeat", "2")
    command = (out / ABI / "bin/torchlite-run", models["overlapping"], *given)
    # The first result is written after the second call.
    subprocess.run([*command, "--output-dir", tmp_path], check=True, capture_output=True)
    assert not np.fromfile(tmp_path / "output.0.bin", "<f4").any()


@pytest.mark.parametrize(("name", "outputs"), [("nested", 7), ("flat", 11)])
def test_models_give_pytorchs_numbers(made, name, outputs):
    out, models = made
    said = run_builder("verify", models[name], "--runtime", out, "--json")
    differences = [output["max_relative"] for output in json.loads(said.stdout)["outputs"]]
    assert len(differences) == outputs
    assert max(differences) <= 1e-5


def test_random_values_are_compared_with_torchs_own_interpreter(made):
    out, models = made
    said = run_builder("verify", models["nested"], "--runtime", out, *NESTED, "--seed", 5)
    assert "lite interpreter of PyTorch" in said.stdout


def test_a_c_program_passes_every_kind_both_ways(made, tmp_path):
    out, models = made
    (tmp_path / "main.c").write_text(PROGRAM)
    folders = (f"-I{out / ABI / 'include'}", f"-L{out / ABI / 'lib'}")
    clang = locate_toolchain(locate_target(ABI)).cc.path
    command = [clang, *folders, tmp_path / "main.c", "-ltorchlite", "-o", tmp_path / "main"]
    subprocess.run(command, check=True)
    said = subprocess.run(
        [tmp_path / "main", models["everything"]],
        env={"LD_LIBRARY_PATH": str(out / ABI / "lib")},
        capture_output=True,
        text=True,
    )
    assert (said.returncode, said.stdout) == (0, "")


def test_strings_names_and_methods_of_the_reference_case(made):
    out, models = made
    for method, outputs in (("forward", 1), ("repeat", 1), ("initial", 2)):
        asked = ("verify", models["speaker"], "--runtime", out, "--method", method, "--json")
        said = json.loads(run_builder(*asked).stdout)
        assert (said["ok"], said["method"], len(said["outputs"])) == (True, method, outputs)
        assert "eager PyTorch" in said["reference"]
        timed = run_builder("bench", *asked[1:], "--runs", "1", "--calls", "2")
        assert json.loads(timed.stdout)["method"] == method


@pytest.mark.parametrize(
    "inputs",
    [
        ("['a']", "None", "'a'"),
        ("['a', 'é']", "past=float32[3]"),
        ("mask=float32[3]", "words=['']"),
    ],
)
def test_strings_none_and_names_given_to_verify(made, inputs):
    out, models = made
    given = [word for text in inputs for word in ("--input", text)]
    said = run_builder("verify", models["speaker"], "--runtime", out, *given)
    assert "lite interpreter of PyTorch" in said.stdout


def test_a_method_that_needs_nothing_runs_without_a_case(made, tmp_path):
    out, models = made
    alone = tmp_path / "alone.ptl"
    alone.write_bytes(models["speaker"].read_bytes())
    said = run_builder("verify", alone, "--runtime", out, "--method", "initial")
    assert "one initial call took" in said.stdout
