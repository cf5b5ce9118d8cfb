"""Running models on the CPU by Mesa's lavapipe."""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np

from tests.conftest import LAVAPIPE

from .conftest import ABI

MODELS = Path(__file__).parents[1] / "data/vulkan"
NAMES = ("attention", "conv1d", "mlp", "norms", "pool", "steps", "transposed", "unet")
ON_LAVAPIPE = {"VK_ICD_FILENAMES": ":".join(map(str, LAVAPIPE.glob("lvp_*")))}
"""Names the driver, so that no real GPU is taken."""
WITHOUT_DEVICE = {"VK_ICD_FILENAMES": "/nonexistent.json"}
VALIDATED = {
    **ON_LAVAPIPE,
    "VK_INSTANCE_LAYERS": "VK_LAYER_KHRONOS_validation",
    "VK_LOADER_DEBUG": "layer",
}
"""Says what the specification of Vulkan forbids, and on stderr that the layer is there."""


def run_validated(command, environment=None, *, on_gpu=True, **options):
    """Runs a program on lavapipe; the validation layer is there and has nothing to say.

    Without `on_gpu`, the program may use the CPU alone, and then nothing asks for the layer.
    """
    said = subprocess.run(
        command,
        env={**os.environ, **VALIDATED, **(environment or {})},
        capture_output=True,
        text=True,
        **options,
    )
    return refuse_complaints(said, on_gpu=on_gpu)


def refuse_complaints(said, *, on_gpu=True):
    """Returns what a program said, in which the validation layer has nothing to say."""
    # The loader says that the layer is there.
    assert "VK_LAYER_KHRONOS_validation" in said.stderr or not on_gpu
    assert not re.search("VUID|Validation (Error|Warning)", said.stdout + said.stderr), said
    return said


def run(out, model, inputs, folder, *, check=True, on_gpu=True):
    """Runs a model on lavapipe, and returns its outputs, or what went wrong; see run_validated."""
    folder.mkdir()
    command = [out / ABI / "bin/torchlite-run", model, "--output-dir", folder]
    for place, array in enumerate(inputs):
        path = folder / f"input.{place}.bin"
        path.write_bytes(np.ascontiguousarray(array).tobytes())
        command += ["--input", f"{array.dtype}:{'x'.join(map(str, array.shape))}:{path}"]
    said = run_validated(command, {"LD_LIBRARY_PATH": str(out / ABI / "lib")}, on_gpu=on_gpu)
    if not check:
        return said
    assert said.returncode == 0, said.stderr
    listed = json.loads(said.stdout)["outputs"]
    return [
        np.fromfile(folder / f"output.{place}.bin", one["dtype"]).reshape(one["shape"])
        for place, one in enumerate(listed)
    ]
