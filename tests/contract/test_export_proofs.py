"""`builder export --runtime` without torch, on a program that stands for a runtime."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from verify.fakes import make_manifest

from builder.core.operators import Operator
from builder.errors import ExitCode
from builder.models.read import read_model
from builder.system.machine import host_abi
from tests.json_schemas import check_output

DATA = Path(__file__).parents[1] / "data"
BLOCK = DATA / "pt2" / "block.pt2"
PROGRAM = """#!{python}
import json, os, pathlib, struct, sys
if "--output-dir" not in sys.argv:
    sys.exit()  # it registers no operators besides those of the manifest
wrong = os.environ.get("WRONG") == pathlib.Path(sys.argv[1]).name
folder = pathlib.Path(sys.argv[sys.argv.index("--output-dir") + 1])
(folder / "out.bin").write_bytes(struct.pack("<2f", 1, 2.5 if wrong else 2))
output = {{"dtype": "float32", "shape": [2], "file": "out.bin"}}
print(json.dumps({{"outputs": [output], "seconds": 0.25}}))
"""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder from which `import torch` fails."""
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')\n")
    return tmp_path


def export(
    folder: Path, *arguments: str | Path, wrong: str = ""
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, (str(folder / "stub"), os.environ.get("PYTHONPATH"))))
    given = tuple(map(str, ("export", *arguments)))
    done = subprocess.run(
        [sys.executable, "-m", "builder", *given],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "WRONG": wrong},
        capture_output=True,
        text=True,
        check=False,
    )
    if "--json" in given and done.stdout:
        check_output(given, done.stdout)
    return done


def make_runtime(folder: Path, *models: Path, without: str = "") -> Path:
    """Writes a runtime for the operators and classes of `models`; its program gives two numbers."""
    infos = [read_model(path) for path in models]
    operators = {str(one) for info in infos for one in info.operators} - {without}
    manifest = replace(
        make_manifest(host_abi()),
        operators=tuple(map(Operator.parse, sorted(operators))),
        custom_classes=tuple({name for info in infos for name in info.custom_classes}),
    )
    program = folder / "runtime" / host_abi() / "bin" / "torchlite-run"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    (program.parents[1] / "manifest.json").write_text(manifest.to_text())
    return folder / "runtime"


@pytest.fixture
def plain(bare: Path) -> Path:
    """The program as a lite file that nobody has optimised."""
    done = export(bare, BLOCK, "-o", "plain.ptl", "--no-optimize")
    assert done.returncode == 0, done.stderr
    return bare / "plain.ptl"


@pytest.fixture
def fast(bare: Path, plain: Path) -> Path:
    """The same, optimised."""
    done = export(bare, plain, "-o", "fast.ptl")
    assert done.returncode == 0, done.stderr
    return bare / "fast.ptl"


@pytest.mark.parametrize("kind", ["lite", "program"])
def test_a_runtime_proves_a_file_without_torch(
    bare: Path, plain: Path, fast: Path, kind: str
) -> None:
    runtime = make_runtime(bare, plain, fast)
    source = (plain, "--shape", "1,3,8,8") if kind == "lite" else (BLOCK,)
    done = export(bare, *source, "-o", "proven.ptl", "--runtime", runtime, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    stages = {stage["name"]: stage for stage in result["stages"]}
    assert [stages[name]["by"] for name in ("lite", "source", "runtime")] == [
        None,
        *["runtime"] * 2,
    ]
    # Two random samples, and the first one with other signs.
    assert stages["runtime"]["samples"] == 3
    assert stages["runtime"]["against"] == "source"
    assert stages["runtime"]["seconds"] == 0.25
    assert [output["max_absolute"] for output in result["outputs"]] == [0]
    assert "nothing was compared" not in " ".join(result["remarks"])
    # What the runtime gives is not what PyTorch gives.
    assert result["reference"] is None
    assert (bare / "proven.ptl").is_file()


def test_a_file_with_other_outputs_is_not_written(bare: Path, plain: Path, fast: Path) -> None:
    asked = (
        plain,
        "-o",
        "m.ptl",
        "--shape",
        "1,3,8,8",
        "--runtime",
        make_runtime(bare, plain, fast),
    )
    done = export(bare, *asked, wrong="model.ptl")
    assert done.returncode == ExitCode.VERIFICATION
    assert "the lite file on builder's runtime differs from the source" in done.stderr
    assert not list(bare.glob("m.ptl*"))
    kept = export(bare, *asked, "--keep", wrong="model.ptl")
    assert kept.returncode == ExitCode.VERIFICATION
    assert (bare / "m.ptl").is_file()


def test_a_runtime_that_lacks_an_operator_is_refused(bare: Path, plain: Path, fast: Path) -> None:
    lacking = make_runtime(bare, plain, fast, without="prepacked::conv2d_clamp_run")
    done = export(bare, plain, "-o", "m.ptl", "--shape", "1,3,8,8", "--runtime", lacking)
    assert done.returncode == ExitCode.VERIFICATION
    assert "lacks 1 operator of the lite file: prepacked::conv2d_clamp_run" in done.stderr
    assert f"hint: let builder build a runtime for the file: builder export {plain}" in done.stderr
    assert "-o m.ptl --prove" in done.stderr
    assert not list(bare.glob("m.ptl*"))


def test_a_runtime_for_the_file_alone_needs_expected_outputs(
    bare: Path, plain: Path, fast: Path
) -> None:
    done = export(
        *(bare, plain, "-o", "m.ptl", "--shape", "1,3,8,8"),
        *("--runtime", make_runtime(bare, fast)),
    )
    assert done.returncode == ExitCode.VERIFICATION
    assert "of the unchanged model: " in done.stderr
    assert "aten::conv2d" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--prove",), "describe each input: --input"),
        (("--runtime", "."), "there is no built runtime at ."),
        (("--prove", "--backend", "metal"), "a model for metal cannot be proven on this machine"),
    ],
)
def test_what_cannot_be_proven_is_refused_before_anything_is_built(
    bare: Path, plain: Path, options: tuple[str, ...], words: str
) -> None:
    done = export(bare, plain, "-o", "m.ptl", *options)
    assert done.returncode == ExitCode.CONFIGURATION
    assert words in done.stderr
    assert "Rewriting" not in done.stderr


def test_without_a_proof_the_export_says_what_is_owed(bare: Path, plain: Path) -> None:
    done = export(bare, plain, "-o", "m.ptl", "--shape", "1,3,8,8")
    assert "run builder verify with inputs on a runtime, or export with --prove" in done.stderr
