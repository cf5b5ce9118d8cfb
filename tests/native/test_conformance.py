"""A few of upstream's mobile test models, each on its own runtime; tools/conformance.py has all."""

import json
import subprocess
import sys

import pytest

from .conftest import FLOAT, HERE

pytestmark = [pytest.mark.torch, pytest.mark.host]

TOOL = HERE.parents[1] / "tools/conformance.py"


@pytest.mark.parametrize(
    ("module", "dtypes", "outputs"),
    [
        ("android_api_module", FLOAT, 20),  # methods with numbers, lists and optionals
        ("sampling_ops", FLOAT, 20),  # random numbers, the same for the same seed
        (
            "dynamic_qint8",
            ("--dtypes", "all"),
            20,
        ),  # packed weights and cells, floats beside quantised tensors
        ("static_per_channel", ("--dtypes", "all"), 5),
    ],
)
def test_an_upstream_module_gives_torchs_numbers_on_its_own_runtime(
    module, dtypes, outputs, tmp_path
):
    command = [sys.executable, TOOL, "--work", tmp_path, *dtypes, module]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    row = json.loads((tmp_path / "rows" / f"{module}.json").read_text())
    assert row["ok"]
    assert row["compared"] >= outputs
    assert row["shapes"] == 0
