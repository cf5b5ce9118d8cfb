"""`builder export` of lite files and of programs, in an environment without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from builder.api import exports
from builder.core.tensors import DType, TensorSpec
from builder.errors import ExitCode, ModelError
from builder.export.interpreter import Interpreter
from builder.export.request import ExportRequest
from builder.models.read import read_model
from builder.system.progress import Silent

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


def with_sizes(folder: Path, *sizes: int) -> Path:
    """Writes a program that says its input has these last sizes."""
    path = folder / "large.pt2"
    with (
        zipfile.ZipFile(DATA / "pt2" / "pixels.pt2") as source,
        zipfile.ZipFile(path, "w") as changed,
    ):
        for info in source.infolist():
            content = source.read(info)
            if "/models/" in info.filename:
                document = json.loads(content)
                graph = document["graph_module"]
                (given,) = (
                    one["user_input"]["arg"]["as_tensor"]["name"]
                    for one in graph["signature"]["input_specs"]
                    if "user_input" in one
                )
                described = graph["graph"]["tensor_values"][given]
                described["sizes"][-len(sizes) :] = [{"as_int": size} for size in sizes]
                content = json.dumps(document).encode()
            changed.writestr(info, content)
    return path


@pytest.mark.parametrize("size", [100_000, 1 << 62])
def test_a_program_cannot_ask_for_any_samples(bare: Path, size: int) -> None:
    large = with_sizes(bare, size, size)
    done = export(bare, large, "-o", "model.ptl", "--json")
    assert done.returncode == 0, done.stderr
    (remark,) = (one for one in json.loads(done.stdout)["remarks"] if "compared" in one)
    assert f"with uint8[1,6,{size},{size}], the inputs that large.pt2 describes" in remark
    given = export(bare, large, "-o", "model.ptl", "--input", "uint8[1,6,8,8]")
    assert given.returncode == 0, given.stderr
    assert "too large" not in given.stderr


def test_inputs_of_the_user_that_no_memory_holds(bare: Path) -> None:
    wanted = ("--input", "float32[1000000000,1000000000]")
    done = export(bare, DATA / "pt2" / "pixels.pt2", "-o", "model.ptl", *wanted)
    assert done.returncode == ExitCode.CONFIGURATION
    assert "no sample can be made of float32[1000000000,1000000000]" in done.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [(MemoryError(), "larger than the memory"), (RecursionError("deep"), "nested more deeply")],
)
@pytest.mark.parametrize("step", ["takes_file", "export_file"])
def test_a_file_that_takes_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str, step: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(exports, step, fail)
    path = MODELS / "control.ptl"
    request = ExportRequest(source=str(path), output=tmp_path / "out.ptl")
    with pytest.raises(ModelError, match=words) as caught:
        exports.export(request, progress=Silent())
    assert caught.value.message.startswith(f"{path} is ")


@pytest.mark.parametrize("kind", ["lite", "program"])
def test_torch_is_confined_when_it_runs_a_file(
    bare: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    class RunError(Exception):
        pass

    def run(interpreter: Interpreter, *_: object, **__: object) -> None:
        assert interpreter._confined
        raise RunError

    monkeypatch.setattr(Interpreter, "run", run)
    path = plain(bare) if kind == "lite" else DATA / "pt2" / "block.pt2"
    inputs = (TensorSpec(DType.FLOAT32, (1, 3, 8, 8)),) if kind == "lite" else ()
    request = ExportRequest(source=str(path), output=bare / "out.ptl", inputs=inputs)
    with pytest.raises(RunError):
        exports.export(request, progress=Silent())


def test_a_file_with_newer_bytecode_is_refused(bare: Path) -> None:
    newer = bare / "newer.ptl"
    with zipfile.ZipFile(MODELS / "conv.ptl") as source, zipfile.ZipFile(newer, "w") as changed:
        for info in source.infolist():
            content = source.read(info)
            if info.filename.endswith("/bytecode.pkl"):
                # The version is the first number of the pickle.
                assert content[2:4] == b"K\x08"
                content = content[:3] + b"\x0c" + content[4:]
            changed.writestr(info, content)
    done = export(bare, newer, "-o", "model.ptl")
    assert done.returncode == ExitCode.MODEL
    assert "its bytecode has version 12, which is newer than 9" in done.stderr
    assert "use a newer builder" in done.stderr
    assert not (bare / "model.ptl").exists()


def test_a_file_and_a_program_become_models_for_vulkan_without_torch(bare: Path) -> None:
    for source in (plain(bare), DATA / "pt2" / "block.pt2"):
        shape = ("--input", "float32[1,3,16,16]") if source.suffix == ".ptl" else ()
        made = export(bare, source, "--backend", "vulkan", "-o", "gpu.ptl", "--json", *shape)
        assert made.returncode == 0, made.stderr
        split = json.loads(made.stdout)["vulkan"]
        assert (split["cpu"], split["transfers"], split["on_cpu"]) == (0, 0, [])
        found = operators(bare / "gpu.ptl")
        assert "vulkan_prepack::run_conv2d_context" in found
        assert not any(name.startswith(("prepacked::", "aten::conv")) for name in found)
    again = export(bare, "gpu.ptl", "--backend", "vulkan", "-o", "again.ptl")
    assert "for Vulkan already, and is written unchanged" in again.stderr
    assert (bare / "again.ptl").read_bytes() == (bare / "gpu.ptl").read_bytes()
    back = export(bare, "gpu.ptl", "-o", "cpu.ptl")
    assert (back.returncode, "exported for Vulkan already" in back.stderr) == (3, True)
    assert not (bare / "cpu.ptl").exists()
    graph = [sys.executable, "-m", "builder", "graph", str(bare / "gpu.ptl")]
    shown = subprocess.run(graph, capture_output=True, text=True, check=True)
    assert "vulkan_prepack::run_conv2d_context" in shown.stdout
