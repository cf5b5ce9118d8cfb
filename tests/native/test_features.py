"""Operators that need optional sources: one runtime with torchvision's and with FFT."""

import json

import pytest

from .conftest import ABI, read_plan, run_builder

pytestmark = [pytest.mark.torch, pytest.mark.host]
SHAPES = {"detector": ("1,4,16,16", "9,4", "9"), "spectrum": ("2,128",)}


def test_optional_sources_come_when_operators_need_them_and_give_pytorchs_numbers(tmp_path):
    models = {name: tmp_path / f"{name}.ptl" for name in SHAPES}
    for name, model in models.items():
        shapes = [argument for shape in SHAPES[name] for argument in ("--shape", shape)]
        run_builder("export", f"models:{name}", "--script", *shapes, "-o", model)
    plan = read_plan(*models.values(), "--abi", ABI)
    assert sorted(plan["features"]) == ["pocketfft", "torchvision"]
    run_builder("build", *models.values(), "--abi", ABI, "-o", tmp_path / "out")
    for name, outputs in (("detector", 6), ("spectrum", 8)):
        said = run_builder("verify", models[name], "--runtime", tmp_path / "out", "--json")
        differences = [output["max_relative"] for output in json.loads(said.stdout)["outputs"]]
        assert len(differences) == outputs
        assert max(differences) <= 1e-4
    root = tmp_path / "out" / ABI
    manifest = json.loads((root / "manifest.json").read_text())
    assert manifest["features"] == ["pocketfft", "torchvision"]
    assert (root / "share/licenses/torchvision-LICENSE.txt").is_file()
    assert "pocketfft" in "".join(path.name for path in (root / "share/licenses").iterdir())
