"""How tensors go to Metal and back, under Linux: with a device that keeps them in ordinary memory.

Its one unit stands where Metal's are, and registers what they register, as far as this model asks.
"""

import dataclasses
import subprocess
from pathlib import Path

import pytest

from builder import api
from builder.api import link as libraries
from builder.core.units import TranslationUnit, UnitGraph
from builder.native import prepare_sources as preparing
from builder.sources.releases import load_release
from builder.system.progress import Silent

from .conftest import ABI

pytestmark = [pytest.mark.torch, pytest.mark.host]
DEVICE = Path(__file__).parent / "metal/device.cpp"
METAL = load_release().backends["metal"]
LIKE = "torch/csrc/jit/mobile/import.cpp"
PROGRAM = r"""
#include <stdio.h>
#include <torchlite.h>

int main(int argc, char** argv) {
  torchlite_module* module = NULL;
  torchlite_result* result = NULL;
  float x[4] = {1, -2, 3, -4}, y[4] = {-10, 20, 30, 40};
  int64_t sizes[2] = {2, 2};
  torchlite_value item = {0}, inputs[2] = {{0}};
  item.kind = TORCHLITE_VALUE_TENSOR;
  item.as.tensor = (torchlite_tensor){TORCHLITE_FLOAT32, 2, sizes, x};
  inputs[0].kind = TORCHLITE_VALUE_LIST;
  inputs[0].as.group.count = 1;
  inputs[0].as.group.items = &item;
  inputs[1].kind = TORCHLITE_VALUE_TENSOR;
  inputs[1].as.tensor = (torchlite_tensor){TORCHLITE_FLOAT32, 2, sizes, y};
  if (torchlite_load(argv[1], &module) ||
      torchlite_run_values(module, "forward", inputs, 2, &result)) {
    puts(torchlite_error());
    return 1;
  }
  for (size_t i = 0; i < torchlite_result_count(result); i++) {
    torchlite_tensor told;
    torchlite_result_tensor(result, i, &told);
    int64_t count = 1;
    for (int32_t d = 0; d < told.dims; d++) {
      count *= told.sizes[d];
    }
    for (int64_t k = 0; k < count; k++) {
      printf("%g ", ((const float*)told.data)[k]);
    }
    puts("");
  }
  return 0;
}
"""


def save_model(path, *, for_metal):
    import torch

    class Model(torch.nn.Module):
        def forward(self, xs: list[torch.Tensor], y: torch.Tensor):
            joined = torch.cat([torch.relu(xs[0]), y], 0)
            own = torch.relu(torch.tensor([1.0, -2.0]))  # made on the CPU, stays there
            return joined, torch.relu(joined.view([8])), own

    script = torch.jit.script(Model()).eval()
    if for_metal:  # as optimize_for_mobile(backend="metal") marks it
        script._c._register_attribute("optimized_for_metal", torch._C.BoolType.get(), True)
    script._save_for_lite_interpreter(str(path))
    return path


def add_device(graph, located, dispatch, **others):
    del dispatch, others
    unit = TranslationUnit(
        id="aten/src/ATen/native/metal/device.cpp",
        library=METAL.name,
        language="CXX",
        source=str(DEVICE),
        flags=graph.units[LIKE].flags,
    )
    chosen = any(one.backend is METAL for one in located)
    return UnitGraph(units={**graph.units, unit.id: unit}) if chosen else graph


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("metal")


@pytest.fixture(scope="module")
def program(folder):
    """Builds a runtime with that device and links the program against it."""
    model, plan = save_model(folder / "metal.ptl", for_metal=True), libraries.plan_with_versions

    def plan_with_versions(*arguments, **options):
        planned = plan(*arguments, **options)
        return dataclasses.replace(planned, backends=(*planned.backends, METAL))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libraries, "plan_with_versions", plan_with_versions)
        patch.setattr(preparing, "add_backends", add_device)
        request, target = api.BuildRequest(inputs=(model,)), api.locate_target(ABI)
        (built,) = api.build(request, [target], folder, progress=Silent()).runtimes
    (folder / "program.c").write_text(PROGRAM)
    library = built.package.library
    subprocess.run(
        (
            *(api.locate_toolchain(target).cc.path, f"-I{built.package.root / 'include'}"),
            *(folder / "program.c", "-o", folder / "program"),
            *(library, f"-Wl,-rpath,{library.parent}"),
        ),
        check=True,
    )
    return folder / "program"


def run(program, model):
    completed = subprocess.run((program, model), capture_output=True, text=True)
    assert completed.returncode == 0, completed.stdout
    rows = [[float(n) for n in line.split()] for line in completed.stdout.splitlines()]
    return rows, completed.stderr.splitlines()


EXPECTED = [[1, 0, 3, 0, -10, 20, 30, 40], [1, 0, 3, 0, 0, 20, 30, 40], [1, 0]]


def test_tensors_go_to_metal_kernels_are_chosen_by_device_and_outputs_come_back(program, folder):
    rows, said = run(program, folder / "metal.ptl")
    assert rows == EXPECTED
    assert said == [
        *("to metal", "to metal"),  # an input in a list, and one beside it
        *("relu", "view", "view"),  # kernels call operators
        *("cat", "view"),
        *("relu", "view", "view"),
        *("to host", "to host"),  # the third output was never there
    ]


def test_other_models_run_on_the_cpu(program, folder):
    rows, said = run(program, save_model(folder / "plain.ptl", for_metal=False))
    assert rows == EXPECTED
    assert said == []
