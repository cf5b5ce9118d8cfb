"""builder's own core beside that of PyTorch: equal results and refusals."""

import json
import math
import subprocess
from pathlib import Path

import pytest

from .conftest import ABI, run_builder

DATA = Path(__file__).parents[1] / "data/models"
pytestmark = [pytest.mark.torch, pytest.mark.host]
PROGRAMS = ("Numbers", "Texts", "Lists", "Tensors", "Raising", "Deep")
COMMITTED = {
    "conv": ("--input", "float32:1x3x8x8:IMAGE"),
    "hooked": ("--input", "float32:2x3:IMAGE"),
}
"""Models of tests/data that the core has all for, and an input of each."""
TABLE = ("--dict", "--key", "a", "--int", "5", "--end")
# Each line is one call of torchlite-run, without the model; TENSOR stands for 3x4 numbers.
CALLS = {
    "Numbers": [("TENSOR",)],
    "Texts": [("TENSOR", "--text", text) for text in ("Names", "zebra", "abc", "MMM")],
    "Lists": [("TENSOR",)],
    "Tensors": [("TENSOR",)],
    "Deep": [("--int", "1"), ("--int", "300000")],
    "Raising": [
        *(
            ("--int", str(kind), "--list", "--int", "4", "--int", "9", "--end", *TABLE)
            for kind in range(8)
        ),
        ("--int", "4", "--list", "--int", "4", "--end", *TABLE),
        ("--int", "1", *TABLE),
        ("--float", "1", "--list", "--end", *TABLE),
        ("--int", "6", "--list", "--float", "1", "--end", *TABLE),
        ("--int", "6", "--list", "--end", "--dict", "--key", "b", "--int", "1", "--end"),
    ],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Programs of TorchScript over the builtins that the core has."""
    import torch

    from . import own_core_models

    root = tmp_path_factory.mktemp("own core")
    for name in PROGRAMS:
        module = torch.jit.script(getattr(own_core_models, name)().eval())
        module._save_for_lite_interpreter(str(root / f"{name}.ptl"))
    torch.manual_seed(0)
    (root / "image.bin").write_bytes(torch.randn(192).numpy().tobytes())
    (root / "input.bin").write_bytes(torch.arange(-4.0, 8.0).numpy().tobytes())
    return root


@pytest.fixture(scope="module")
def cores(models, tmp_path_factory):
    """Core -> folder of a runtime with it, for the same models."""
    files = [*(models / f"{name}.ptl" for name in PROGRAMS)]
    files += [DATA / f"{name}.ptl" for name in COMMITTED]
    roots = {core: tmp_path_factory.mktemp(core) for core in ("own", "upstream")}
    for core, root in roots.items():
        run_builder("build", *files, "--abi", ABI, "--core", core, "-o", root)
    return roots


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A runtime for few dtypes, with a model of what it does by loops of its own."""
    import torch

    from . import own_core_models

    root = tmp_path_factory.mktemp("plain")
    module = torch.jit.script(own_core_models.Plain().eval())
    module._save_for_lite_interpreter(str(root / "plain.ptl"))
    torch.manual_seed(1)
    image = torch.randn(2, 3, 5, 7)
    (root / "input.bin").write_bytes(image.numpy().tobytes())
    chosen = ("--core", "own", "--dtypes", "float32,int64,bool")
    run_builder("build", root / "plain.ptl", "--abi", ABI, *chosen, "-o", root / "out")
    return root, module, image


def call(root, model, arguments, folder):
    """Returns what a runtime prints and leaves for one call: results, or its error."""
    folder.mkdir(exist_ok=True)
    given = []
    for argument in arguments:
        tensor = ("--input", f"float32:3x4:{model.parent / 'input.bin'}")
        given += tensor if argument == "TENSOR" else [argument]
    command = [root / ABI / "bin/torchlite-run", model, *given, "--output-dir", folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    told = json.loads(done.stdout) if done.returncode == 0 else done.stderr
    if isinstance(told, dict):
        told = {key: value for key, value in told.items() if "seconds" not in key}
    return done.returncode, told, {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, one) for name, calls in CALLS.items() for one in calls]
)
def test_both_cores_answer_alike(cores, models, tmp_path, name, arguments):
    answers = [
        call(root, models / f"{name}.ptl", arguments, tmp_path / core)
        for core, root in cores.items()
    ]
    assert answers[0] == answers[1]
    # The models of numbers, lists and tensors have nothing to refuse.
    assert name in ("Raising", "Texts") or answers[0][0] == 0, answers[0]


@pytest.mark.parametrize("name", COMMITTED)
def test_both_cores_run_kernels_alike(cores, models, tmp_path, name):
    kind, given = COMMITTED[name]
    sizes = [int(size) for size in given.split(":")[1].split("x")]
    image = tmp_path / "image.bin"
    image.write_bytes((models / "image.bin").read_bytes()[: 4 * math.prod(sizes)])
    arguments = (kind, given.replace("IMAGE", str(image)))
    answers = [
        call(root, DATA / f"{name}.ptl", arguments, tmp_path / core) for core, root in cores.items()
    ]
    assert answers[0][0] == 0, answers[0]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("case", range(37))
def test_plain_loops_compute_what_torch_does(plain, tmp_path, case):
    import torch

    root, module, image = plain
    given = ("--input", f"float32:2x3x5x7:{root / 'input.bin'}", "--int", str(case))
    code, told, files = call(root / "out", root / "plain.ptl", given, tmp_path / "out")
    try:
        wanted, strides = module(image, case)
    except RuntimeError as error:
        # The last line is what torch says; a runtime has no kernel for what torch has none for.
        said = str(error).strip().splitlines()[-1].removeprefix("RuntimeError: ")
        assert code != 0, told
        assert said in told or "not implemented for" in said, (said, told)
        return
    assert code == 0, told
    assert case < 30
    tensor, *rest = told["outputs"]
    assert tensor["dtype"] == str(wanted.dtype).removeprefix("torch.")
    assert tensor["shape"] == list(wanted.shape)
    found = [int.from_bytes(files[one["file"]], "little", signed=True) for one in rest]
    assert found == list(strides)
    elements = torch.frombuffer(bytearray(files["output.0.bin"] or b"\0" * 8), dtype=wanted.dtype)
    # A sum with a factor is rounded once or twice, and XNNPACK sums in another order.
    close = {"rtol": 2e-6, "atol": 1e-6} if wanted.is_floating_point() else {"rtol": 0, "atol": 0}
    torch.testing.assert_close(elements[: wanted.numel()], wanted.reshape(-1), **close)


def test_the_library_is_smaller(cores):
    sizes = {
        core: (root / ABI / "lib/libtorchlite.so").stat().st_size for core, root in cores.items()
    }
    assert sizes["own"] < 0.85 * sizes["upstream"], sizes


def test_the_manifest_names_the_core(cores):
    manifests = {
        core: json.loads((root / ABI / "manifest.json").read_text()) for core, root in cores.items()
    }
    assert manifests["own"]["core"] == "own"
    assert "core" not in manifests["upstream"]


def test_damaged_models_are_refused_in_the_same_words(cores, models, tmp_path):
    whole = (models / "Lists.ptl").read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        damaged = tmp_path / "damaged.ptl"
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        (tmp_path / "input.bin").write_bytes((models / "input.bin").read_bytes())
        own, upstream = (
            call(root, damaged, ("TENSOR",), tmp_path / core) for core, root in cores.items()
        )
        # A signal would be a negative number.
        assert own[0] >= 0, (at, own)
        assert own == upstream, at


def test_a_model_that_needs_what_the_core_lacks_is_refused_by_name(tmp_path):
    listed = tmp_path / "needs.txt"
    listed.write_text("aten::add.Tensor\nquantized::mul\n")
    refused = run_builder(
        "build", listed, "--abi", ABI, "--core", "own", "-o", tmp_path / "out", check=False
    )
    assert refused.returncode == 3
    assert "quantized::mul" in refused.stderr
    assert "--core upstream" in refused.stderr
    assert not (tmp_path / "out").exists()
