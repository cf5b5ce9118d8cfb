"""What commands do with models that attack: nothing runs, or it runs where it can do nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from hostile_models import (  # noqa: E402
    LOADING,
    PRECIOUS,
    VICTIM,
    WRITTEN,
    write_crashing,
    write_lite,
    write_torchscript,
)
from interrupts import take_interrupts  # noqa: E402
from verify.fakes import make_runtime  # noqa: E402

from builder.core.arrays import sample_inputs, to_array  # noqa: E402
from builder.core.operators import Operator  # noqa: E402
from builder.core.runtime_manifest import parse_manifest  # noqa: E402
from builder.core.tensors import DType, TensorSpec  # noqa: E402
from builder.export.interpreter import Interpreter  # noqa: E402
from builder.export.samples import Sample  # noqa: E402
from builder.export.values import to_arguments  # noqa: E402
from builder.system.machine import host_abi  # noqa: E402
from builder.system.sandbox import find_obstacle  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(bool(find_obstacle()), reason="there is no boundary here"),
]
ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "models"
REFUSING = {
    "graph": ("graph", "MODEL"),
    "ops": ("ops", "MODEL"),
    "ops JSON": ("ops", "MODEL", "--json"),
    "plan": ("plan", "MODEL", "-o", "new"),
    "build": ("build", "MODEL", "-o", "built"),
    "check": ("check", "MODEL", "out"),
    "verify": ("verify", "MODEL", "--runtime", "out", "--shape", "4"),
    "bench": ("bench", "MODEL", "--runtime", "out", "--shape", "4"),
}
RUNNER = """#!/bin/sh
if [ "$2" = --operators ] || [ "$1" = --operators ]; then
  cat "$(dirname "$0")/operators"
  exit 0
fi
echo "$@" > "$(dirname "$0")/ran"
while [ "$1" != --output-dir ]; do shift; done
printf '\\0\\0\\200\\077' > "$2/o.bin"
echo '{"outputs": [{"dtype": "float32", "shape": [1], "file": "o.bin"}], "seconds": 0.5}'
"""
"""A runtime that says 1.0 to everything, and notes that it was asked."""
SMALL = ("--time-limit", "2", "--memory-limit", "512MiB")


@pytest.fixture(scope="session")
def torchscript(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("torchscript")
    return {name: write_torchscript(name, folder / f"{name}.pt") for name in LOADING}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A working folder with something to lose, and a runtime."""
    (tmp_path / VICTIM).write_text(PRECIOUS)
    add_runtime(tmp_path, "aten::add.Tensor", "aten::relu")
    return tmp_path


def add_runtime(folder: Path, *operators: str) -> None:
    from dataclasses import replace

    root = folder / "out" / host_abi()
    if not root.exists():
        make_runtime(folder / "out", host_abi())
    manifest = parse_manifest((root / "manifest.json").read_text())
    changed = replace(manifest, operators=tuple(map(Operator.parse, operators)))
    (root / "manifest.json").write_text(changed.to_text())
    (root / "bin" / "torchlite-run").write_text(RUNNER)
    (root / "bin" / "torchlite-run").chmod(0o755)
    (root / "bin" / "operators").write_text("\n".join(operators) + "\n")


def has_run(folder: Path) -> bool:
    return (folder / "out" / host_abi() / "bin" / "ran").exists()


def run(folder: Path, *arguments: object, first: Path | None = None):
    """Runs the command line in `folder`; modules in `first` come before all others."""
    path = os.pathsep.join(map(str, filter(None, (first, ROOT, *filter(None, sys.path)))))
    return subprocess.run(
        (sys.executable, "-S", "-P", "-m", "builder.cli.main", *map(str, arguments)),
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1"},
    )


def assert_unharmed(folder: Path) -> None:
    assert (folder / VICTIM).read_text() == PRECIOUS
    assert not (folder / WRITTEN).exists()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *((command, "patches.ptl") for command in sorted(REFUSING)),
        ("ops", "writes.pt"),
        ("ops", "loops"),
    ],
)
def test_torchscript_is_refused_and_torch_stays_out(here, torchscript, command, name):
    model = here / name
    model.write_bytes(torchscript[name.partition(".")[0]].read_bytes())
    stub = here / "stub"
    stub.mkdir()
    (stub / "torch.py").write_text("open('torch-was-imported', 'w')\n")
    arguments = [name if word == "MODEL" else word for word in REFUSING[command]]
    done = run(here, *arguments, first=stub)
    assert done.returncode == 3, done.stderr
    assert "it is TorchScript" in done.stderr
    assert "builder export" in done.stderr
    # With --json, the error is on stdout too.
    assert list(json.loads(done.stdout or "{}")) in ([], ["error", "schema"])
    assert not (here / "torch-was-imported").exists()
    assert not has_run(here)
    assert_unharmed(here)


def test_the_files_do_attack(here, torchscript):
    """Else the tests of this file could not fail."""
    code = "import sys, torch; torch.jit.load(sys.argv[1])"
    for name in ("writes", "patches"):
        subprocess.run((sys.executable, "-c", code, torchscript[name]), cwd=here, check=True)
    assert (here / VICTIM).read_text().startswith("X" * 11 + PRECIOUS[11:20])
    assert (here / WRITTEN).exists()
    crashing = write_crashing(here / "crashing.ptl")
    code = (
        "import sys, torch; from torch.jit.mobile import _load_for_lite_interpreter as load\n"
        "load(sys.argv[1])(torch.ones(4))"
    )
    assert subprocess.run((sys.executable, "-c", code, crashing)).returncode < 0


@pytest.mark.parametrize("name", ["writes", "patches", "prints"])
def test_confined_torchscript_changes_nothing(here, torchscript, name):
    done = run(here, "ops", torchscript[name], "--run-torchscript", "--json")
    assert_unharmed(here)
    if name == "patches":  # torch raises where it cannot open a file for writing
        assert done.returncode == 3
        assert "cannot turn it into lite bytecode" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert "aten::add.Tensor" in json.loads(done.stdout)["operators"]
    assert "ran code of TorchScript files in a confined process" in done.stderr


@pytest.mark.parametrize(
    ("name", "option", "told"),
    [
        ("loops", ("--time-limit", "2"), "took more than 2 seconds of CPU time"),
        ("takes_memory", ("--memory-limit", "512MiB"), "took more memory than 512 MiB"),
    ],
)
def test_confined_torchscript_has_limits(here, torchscript, name, option, told):
    done = run(here, "ops", torchscript[name], "--run-torchscript", *option)
    assert done.returncode == 8, done.stderr
    assert told in done.stderr
    assert "raise --time-limit or --memory-limit" in done.stderr


def test_what_torchscript_raises_cannot_control_the_terminal(here, torchscript):
    done = run(here, "ops", torchscript["raises"], "--run-torchscript")
    assert done.returncode == 3, done.stderr
    assert "\x1b" not in done.stderr


def test_operators_of_torchscript_are_those_of_its_lite_file(here):
    recorded = json.loads((DATA / "operators.json").read_text())["control.ptl"]
    done = run(here, "ops", DATA / "control.pt", "--run-torchscript", "--json")
    found = json.loads(done.stdout)
    assert sorted(found["operators"]) == recorded
    (model,) = found["models"]
    assert (model["name"], model["bytecode_version"]) == ("control.pt", None)
    assert "forward(str text, Tensor x) -> Dict(str, Tensor)" in model["methods"]


def test_torchscript_without_torch_says_what_to_install(here):
    stub = here / "stub"
    stub.mkdir()
    (stub / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')\n")
    done = run(here, "ops", DATA / "control.pt", "--run-torchscript", first=stub)
    assert done.returncode == 5
    assert "torch is not installed" in done.stderr
    assert "pip install torch torchvision" in done.stderr


def test_a_missing_file_is_named_without_torch(here):
    done = run(here, "export", "missing.pt", "-o", "new.ptl")
    assert done.returncode == 3
    assert "missing.pt does not exist\nhint: check the name" in done.stderr


@pytest.mark.parametrize("source", ["mobilenet_v2", "nets:make", "model.pt", "model.ptl"])
def test_export_without_torch_says_what_to_install(here, source):
    stub = here / "stub"
    stub.mkdir()
    (stub / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')\n")
    (here / "nets.py").write_text("import torch\n")
    for name in ("model.pt", "model.ptl"):
        (here / name).write_bytes((DATA / "control.pt").read_bytes())
    done = run(here, "export", source, "-o", "new.ptl", "--shape", "1,3,8,8", first=stub)
    assert done.returncode == 5, done.stderr
    assert "torch is not installed" in done.stderr
    assert "pip install torch torchvision" in done.stderr
    assert "Traceback" not in done.stderr


def verify(folder: Path, model: Path, *options: str):
    return run(folder, "verify", model, "--runtime", "out", *options)


def test_verify_asks_the_runtime_before_torch(here):
    """torch has every operator; the runtime refuses those of this file by name."""
    model = write_lite("run_patches", here / "m.ptl")
    done = verify(here, model, "--shape", "4")
    assert done.returncode == 8
    assert "aten::from_file" in done.stderr
    assert "lacks" in done.stderr
    assert_unharmed(here)
    assert not has_run(here)


def test_verify_confines_what_the_runtime_would_run(here):
    model = write_lite("run_patches", here / "m.ptl")
    add_runtime(here, *operators_of(model))
    done = verify(here, model, "--shape", "1")
    assert_unharmed(here)
    assert "no expected outputs: torch" in done.stderr
    assert "no expected outputs to compare with" in done.stdout
    assert has_run(here)


def test_verify_compares_with_the_confined_torch(here):
    model = write_lite("double", here / "m.ptl")
    done = verify(here, model, "--shape", "1", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 8  # the runtime says 1.0 to everything
    assert report["reference"].startswith("lite interpreter of PyTorch")
    assert len(report["outputs"]) == 1
    assert not report["ok"]


@pytest.mark.parametrize(
    ("name", "operators", "told"),
    [
        (
            "run_loops",
            "aten::Bool.Tensor aten::add.Tensor aten::eq.Tensor aten::sub.Tensor aten::sum",
            "took more than 2 seconds of CPU time",
        ),
        (
            "run_takes_memory",
            "aten::add.Tensor aten::sum aten::zeros",
            "took more memory than 512 MiB",
        ),
        ("crashing", "aten::add.Tensor", "was ended by SIGSEGV"),
    ],
)
def test_verify_outlives_torch(here, name, operators, told):
    path = here / "m.ptl"
    model = write_crashing(path) if name == "crashing" else write_lite(name, path)
    add_runtime(here, *operators.split())
    done = verify(here, model, "--shape", "4", *SMALL)
    assert done.returncode == 8, done.stderr
    assert told in done.stderr
    assert "nothing was run on the runtime" in done.stderr
    assert not has_run(here)


def test_what_a_model_raises_is_an_error_of_the_model(here):
    """torch.jit.Error is no RuntimeError, and the text looks like one of the runtime."""
    model = write_lite("run_raises", here / "m.ptl")
    add_runtime(here, *(o for o in operators_of(model)))
    done = verify(here, model, "--shape", "1")
    assert done.returncode == 0, done.stderr
    assert "no expected outputs: torch" in done.stderr
    assert "\x1b" not in done.stderr


def operators_of(model: Path) -> list[str]:
    done = run(model.parent, "ops", model, "--json")
    return list(json.loads(done.stdout)["operators"])


MISFITS = [
    ("double", ("float32[2]", "float32[2]"), "forward takes 1 input: (Tensor x); 2 were given"),
    ("double", ("2.5",), "input 0, x, is Tensor, but 2.5 was given"),
    ("scaled", ("float32[2]",), "takes 3 inputs: (Tensor x, float scale, int n); 1 was given"),
    ("scaled", ("float32[2]", "2.5", "3.5"), "input 2, n, is int, but 3.5 was given"),
    (
        "named",
        ("[1, 2]", "float32[2]"),
        "input 0, values, is Dict(str, float), but [1, 2] was given",
    ),
]


@pytest.mark.parametrize("command", ["verify", "bench"])
@pytest.mark.parametrize(("name", "inputs", "told"), MISFITS)
def test_inputs_are_held_against_the_signature(here, command, name, inputs, told):
    model = write_lite(name, here / "m.ptl")
    add_runtime(here, *operators_of(model))
    given = [word for text in inputs for word in ("--input", text)]
    done = run(here, command, model, "--runtime", "out", *given)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert not has_run(here)


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("double", ("float32[1]",)),
        ("scaled", ("float32[1]", "2", "3")),
        ("scaled", ("float32[1]", "float64", "int64")),
        ("named", ('{"scale": 2}', "float32[1]")),
        ("listed", ("float32[1]", "int64[200000]")),
    ],
)
def test_inputs_that_fit_reach_torch_in_the_types_it_takes(here, name, inputs):
    """A number of another type, or a tensor in its place, made torch read something else."""
    model = write_lite(name, here / "m.ptl")
    add_runtime(here, *operators_of(model))
    done = verify(here, model, *(word for text in inputs for word in ("--input", text)))
    assert "expected outputs: lite interpreter of PyTorch" in done.stdout, done.stderr
    assert has_run(here)


def test_a_named_tuple_is_not_made_up_from_a_description(here):
    """The file does not say what its classes hold: torch crashed on a tuple in place of one."""
    model = write_lite("sum_of_pair", here / "m.ptl")
    add_runtime(here, *operators_of(model))
    done = verify(here, model, "--input", "(float32[1], float32[1])")
    assert done.returncode == 2
    assert "p is an object of a class of the model" in done.stderr


NETS = '''
import torch

class Different(torch.nn.Module):
    def forward(self, x):
        return x + 1
    @torch.jit.export
    def other(self, x: torch.Tensor) -> torch.Tensor:
        return x + 2

class LoopsInLite(torch.nn.Module):
    """Python does not loop, TorchScript does."""
    def forward(self, x):
        if torch.jit.is_scripting():
            while bool(x.sum() == x.sum()):
                x = x + x - x
        return x

class Scaled(torch.nn.Module):
    def forward(self, x: torch.Tensor, scale: float, n: int) -> torch.Tensor:
        return torch.add(x, x, alpha=scale) * n

class Looping(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while bool(x.sum() == x.sum()):
            x = x + x - x
        return x
'''


def export(folder: Path, source: object, *options: str):
    (folder / "hostile_nets.py").write_text(NETS)
    return run(folder, "export", source, "-o", "new.ptl", "--no-optimize", *options)


def test_export_outlives_a_lite_file_that_loops(here):
    script = ("--script", "--input", "float32[2]", "--time-limit", "2")
    done = export(here, "hostile_nets:LoopsInLite", *script)
    assert done.returncode == 8, done.stderr
    assert "torch, running the lite file, took more than 2 seconds of CPU time" in done.stderr
    assert not (here / "new.ptl").exists()


@pytest.mark.parametrize("name", ["loops", "takes_memory"])
def test_export_loads_torchscript_in_a_child_first(here, torchscript, name):
    limits = ("--time-limit", "4", "--memory-limit", "512MiB")
    done = export(here, torchscript[name], "--input", "uint8[11]", *limits)
    assert done.returncode == 3, done.stderr
    assert "torch, loading the TorchScript, took more" in done.stderr


def test_export_passes_numbers_as_the_method_takes_them(here):
    inputs = ("--input", "float32[2]", "--input", "2", "--input", "3")
    done = export(here, "hostile_nets:Scaled", "--script", *inputs, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]


def test_export_holds_inputs_against_the_scripted_method(here):
    inputs = ("--input", "float32[2]", "--input", "2", "--input", "3.5")
    done = export(here, "hostile_nets:Scaled", "--script", *inputs)
    assert done.returncode == 2, done.stderr
    assert "forward takes (Tensor x, float scale, int n): input 2, n, is int" in done.stderr


def test_ctrl_c_ends_an_export_of_torchscript_that_loops(here):
    """Python cannot: TorchScript does not come back to it."""
    (here / "hostile_nets.py").write_text(NETS)
    code = (
        "import hostile_nets, torch; "
        "torch.jit.save(torch.jit.script(hostile_nets.Looping()), 'loops.pt')"
    )
    subprocess.run((sys.executable, "-c", code), cwd=here, check=True)
    path = os.pathsep.join((str(ROOT), *filter(None, sys.path)))
    with subprocess.Popen(
        (
            *(sys.executable, "-S", "-P", "-m", "builder.cli.main"),
            *("export", "loops.pt", "-o", "new.ptl", "--input", "float32[2]"),
        ),
        cwd=here,
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
        preexec_fn=take_interrupts,  # noqa: PLW1509
    ) as process:
        spent = 0.0
        while spent < 6 and process.poll() is None:  # importing takes less, the loop any
            time.sleep(0.2)
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            spent = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait() == -signal.SIGINT
    assert not (here / "new.ptl").exists()


class Suppress(torch.nn.Module):
    def forward(self, boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return torch.ops.torchvision.nms(boxes, scores, 0.5)


def test_torchvisions_operators_can_be_had_in_a_confined_process():
    """Its library is loaded there: reading is all that this takes."""
    pytest.importorskip("torchvision", reason="needs torchvision")
    content = torch.jit.script(Suppress())._save_to_buffer_for_lite_interpreter()
    specs = (TensorSpec(DType.FLOAT32, (3, 4)), TensorSpec(DType.FLOAT32, (3,)))
    sample = Sample(specs=specs, leaves=sample_inputs(specs, seed=0))
    found = Interpreter(confined=True).run(content, [sample])
    boxes, scores = to_arguments(sample)
    expected = torch.ops.torchvision.nms(boxes, scores, 0.5)
    assert to_array(found.outputs[0][0]).tolist() == expected.tolist()
