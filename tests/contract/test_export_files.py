"""`builder export` of lite files and of programs, in an environment without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder.errors import ExitCode
from builder.models.read import read_model

DATA = Path(__file__).parents[1] / "data"
MODELS = DATA / "models"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder from which `import torch` fails."""
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')\n")
    return tmp_path


def export(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(folder / "stub"), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "builder", "export", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def operators(path: Path) -> set[str]:
    return {str(one) for one in read_model(path).operators}


def plain(folder: Path) -> Path:
    """Writes convolutions as a torch without XNNPACK would export them."""
    done = export(folder, DATA / "pt2" / "block.pt2", "-o", "plain.ptl", "--no-optimize")
    assert done.returncode == 0, done.stderr
    return folder / "plain.ptl"


def test_a_lite_file_becomes_faster_without_torch(bare: Path) -> None:
    source = plain(bare)
    assert "aten::conv2d" in operators(source)
    made = export(bare, source, "-o", "faster.ptl", "--json")
    assert made.returncode == 0, made.stderr
    result = json.loads(made.stdout)
    assert (result["capture"], result["optimized"]) == ("as is", True)
    assert "nothing was compared" in " ".join(result["remarks"])
    assert "prepacked::conv2d_clamp_run" in operators(bare / "faster.ptl")
    assert not {"aten::conv2d", "aten::relu"} & operators(bare / "faster.ptl")


def test_a_file_with_nothing_to_gain_is_written_unchanged(bare: Path) -> None:
    assert export(bare, plain(bare), "-o", "once.ptl").returncode == 0
    done = export(bare, "once.ptl", "-o", "twice.ptl")
    assert done.returncode == 0, done.stderr
    assert "once.ptl has nothing to gain, and is written unchanged" in done.stderr
    assert (bare / "twice.ptl").read_bytes() == (bare / "once.ptl").read_bytes()


@pytest.mark.parametrize("version", range(4, 9))
def test_older_bytecode_of_a_file(bare: Path, version: int) -> None:
    asked = ("--bytecode-version", str(version))
    done = export(bare, MODELS / "lstm.ptl", "-o", "old.ptl", *asked)
    assert done.returncode == 0, done.stderr
    assert read_model(bare / "old.ptl").bytecode_version == version


def test_the_format_changes_when_asked(bare: Path) -> None:
    done = export(bare, MODELS / "control.ptl", "-o", "flat.ptl", "--format", "flatbuffer")
    assert done.returncode == 0, done.stderr
    assert (bare / "flat.ptl").read_bytes()[4:8] == b"PTMF"
    assert operators(bare / "flat.ptl") <= operators(MODELS / "control.ptl")


@pytest.mark.parametrize("name", ["block", "branch", "layer", "pixels", "speech"])
def test_a_program_becomes_a_lite_file_without_torch(bare: Path, name: str) -> None:
    done = export(bare, DATA / "pt2" / f"{name}.pt2", "-o", "model.ptl", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["capture"] == "as is"
    assert read_model(bare / "model.ptl").bytecode_version == 8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--weights", "w.pt"), "weights"),
        (("--via", "trace"), "capture"),
        (("--quantize", "dynamic"), "quantisation"),
    ],
)
def test_settings_without_an_effect_on_a_program(
    bare: Path, options: tuple[str, ...], words: str
) -> None:
    (bare / "w.pt").touch()
    done = export(bare, DATA / "pt2" / "block.pt2", "-o", "model.ptl", *options)
    assert done.returncode == ExitCode.CONFIGURATION
    assert "have no effect" in done.stderr
    assert words in done.stderr
    assert not (bare / "model.ptl").exists()


def test_inputs_that_do_not_fit(bare: Path) -> None:
    done = export(bare, plain(bare), "-o", "model.ptl", "--input", "[float32[2]]")
    assert done.returncode == ExitCode.CONFIGURATION
    assert "forward takes (Tensor x)" in done.stderr
    assert "Rewriting" not in done.stderr
