"""Running models on the CPU by Mesa's lavapipe."""

import json
import os
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
    "VK_INSTANCE_LAYERS": "VK_LAYER_KHRONOS_validation",
    "VK_LOADER_DEBUG": "layer",
}
"""Says on stderr what the specification of Vulkan forbids, and that it is there."""


def run(out, model, inputs, folder, *, check=True, environment=None):
    """Runs a model on lavapipe, and returns its outputs, or what went wrong."""
    folder.mkdir()
    command = [out / ABI / "bin/torchlite-run", model, "--output-dir", folder]
    for place, array in enumerate(inputs):
        path = folder / f"input.{place}.bin"
        path.write_bytes(np.ascontiguousarray(array).tobytes())
        command += ["--input", f"{array.dtype}:{'x'.join(map(str, array.shape))}:{path}"]
    environment = {"LD_LIBRARY_PATH": str(out / ABI / "lib"), **(environment or {})}
    said = subprocess.run(
        command,
        env={**os.environ, **ON_LAVAPIPE, **environment},
        capture_output=True,
        text=True,
    )
    if not check:
        return said
    assert said.returncode == 0, said.stderr
    listed = json.loads(said.stdout)["outputs"]
    return [
        np.fromfile(folder / f"output.{place}.bin", one["dtype"]).reshape(one["shape"])
        for place, one in enumerate(listed)
    ]
