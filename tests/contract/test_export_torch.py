"""Exports by the installed torch: what is written is what eager PyTorch computes."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from builder.api import read_models
from builder.cli.hints import show_hint
from builder.core.arrays import sample_inputs, to_array
from builder.core.operators import Operator
from builder.core.tensors import DType, TensorSpec
from builder.errors import (
    BuilderError,
    ConfigurationError,
    ModelError,
    VerificationError,
)
from builder.export.request import Capture, ExportRequest, ExportResult, Optimisation
from builder.system.progress import Silent
from builder.system.reference_cases import read_reference

pytestmark = pytest.mark.torch

NETS = '''
import numpy
import torch

class Folded(torch.nn.Module):
    """A convolution without bias before a batch norm with statistics of its own."""
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, bias=False)
        self.norm = torch.nn.BatchNorm2d(4)
        torch.nn.init.normal_(self.norm.running_mean)
        torch.nn.init.normal_(self.norm.bias)
        torch.nn.init.uniform_(self.norm.running_var, 0.5, 2)
    def forward(self, x):
        return torch.relu(self.norm(self.conv(x)))

class Branching(torch.nn.Module):
    def forward(self, x):
        if bool(x.sum() > 1e6):
            return x * 2
        total = x
        for i in range(x.size(0)):
            total = total + float(i)
        return total

class Nested(torch.nn.Module):
    def forward(self, x, i, b):
        return {"z": x + 1, "a": (i * 2, [b, x.double()])}

class Numbers(torch.nn.Module):
    def forward(self, x):
        return int(x.size(0)), float(x.size(0)) / 2, x.size(0) > 1, x

class Counting(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))
    def forward(self, x):
        self.count += 1
        return x + self.count

class Texts(torch.nn.Module):
    def forward(self, x):
        return x, "done"

class Complex(torch.nn.Module):
    def forward(self, x):
        return torch.view_as_complex(x.reshape(-1, 2))

class Nothing(torch.nn.Module):
    def forward(self, x):
        return None

class Nan(torch.nn.Module):
    def forward(self, x):
        return (x - x) / (x - x)

class Random(torch.nn.Module):
    def forward(self, x):
        return x + float(numpy.random.rand())

class Unscriptable(torch.nn.Module):
    def forward(self, x):
        return torch.from_numpy(x.numpy() + 1)

class Mixed(torch.nn.Module):
    def forward(self, x):
        return x, int(x.size(0))

class Untraceable(torch.nn.Module):
    def forward(self, x):
        return x, int(x.size(0)), "text"

class Trained(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.dropout(x, 0.5, self.training)

scripted = torch.jit.script(Branching())
instance = Folded()
number = 3

def raising():
    weights = {}
    return weights["conv"]

def listing():
    return [Folded()]
'''
VECTOR = (TensorSpec(DType.FLOAT32, (2,)),)
IMAGE = (TensorSpec(DType.FLOAT32, (1, 3, 8, 8)),)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("user code")
    (folder / "export_nets.py").write_text(dedent(NETS))
    (folder / "export_broken.py").write_text("import math\nmath.nothing\n")
    (folder / "export_needing.py").write_text("import a_module_that_is_missing\n")
    return folder


@pytest.fixture(scope="session")
def xnnpack() -> bool:
    """Not every torch has it; what does not depend on it is tested without."""
    from builder.export.capabilities import probe_torch

    return probe_torch().xnnpack


@pytest.fixture
def request_(folder: Path, tmp_path: Path, xnnpack: bool) -> ExportRequest:
    return ExportRequest(
        source="export_nets:Folded",
        output=tmp_path / "m.ptl",
        folder=folder,
        inputs=IMAGE,
        optimisation=Optimisation(enabled=xnnpack),
    )


def export(request: ExportRequest) -> ExportResult:
    from builder.api.exports import export

    return export(request, progress=Silent())


def require(request: ExportRequest) -> ExportResult:
    result = export(request)
    if result.failure:
        raise result.failure
    return result


def fail(request: ExportRequest, error: type[BuilderError], *words: str) -> None:
    """The export fails, says `words` in message or hint, and leaves nothing behind."""
    with pytest.raises(error) as caught:
        require(request)
    for word in words:
        assert word in f"{caught.value.message}\n{show_hint(caught.value.hint or '', 'export')}"
    assert not list(request.output.parent.iterdir())


@pytest.mark.parametrize("capture", [Capture.AUTO, Capture.TRACE, Capture.SCRIPT])
@pytest.mark.parametrize("optimize", [True, False])
def test_folded_batch_norms_keep_their_bias(
    request_: ExportRequest, xnnpack: bool, capture: Capture, optimize: bool
) -> None:
    if optimize and not xnnpack:
        pytest.skip("this torch is built without XNNPACK")
    result = export(replace(request_, capture=capture, optimisation=Optimisation(enabled=optimize)))
    assert [d.ok for d in result.differences] == [True]
    assert result.capture == ("script" if capture is Capture.SCRIPT else "trace")
    content = request_.output.read_bytes()
    assert (b"conv2d_clamp_run" in content) == optimize
    assert b"batch_norm" not in content or not optimize


def test_file_and_reference_case_describe_each_other(request_: ExportRequest) -> None:
    import torch

    result = export(request_)
    case = read_reference(result.reference)
    assert case.model_sha256 == hashlib.sha256(request_.output.read_bytes()).hexdigest()
    assert case.model_sha256 == result.sha256
    assert case.torch_version == torch.__version__
    assert [tensor.spec for tensor in case.inputs] == list(IMAGE)
    assert result.size == request_.output.stat().st_size
    with zipfile.ZipFile(request_.output) as archive:
        assert any(name.endswith("/bytecode.pkl") for name in archive.namelist())


def test_reference_outputs_are_eager_ones(request_: ExportRequest) -> None:
    import torch

    case = read_reference(export(replace(request_, source="export_nets:instance")).reference)
    module = sys.modules["export_nets"].instance
    with torch.no_grad():
        expected = module(torch.from_numpy(to_array(case.inputs[0]).copy()))
    assert case.outputs[0].data == expected.numpy().tobytes()


def test_outputs_are_flattened_in_order(request_: ExportRequest) -> None:
    from builder.export.compare import run_eager
    from builder.export.load import load_module
    from builder.export.samples import Sample

    inputs = tuple(TensorSpec(d, (2,)) for d in (DType.FLOAT32, DType.INT64, DType.BOOL))
    # TorchScript's dicts hold one type, so only eager PyTorch can give this one.
    module = load_module("export_nets:Nested", folder=request_.folder, seed=0).module
    outputs = run_eager(module, Sample.of(sample_inputs(inputs, seed=0)))
    assert [str(o.spec) for o in outputs] == [
        "float32[2]",
        "int64[2]",
        "bool[2]",
        "float64[2]",
    ]


def test_python_numbers_become_tensors_without_dimensions(request_: ExportRequest) -> None:
    request = replace(request_, source="export_nets:Numbers", inputs=VECTOR, capture=Capture.SCRIPT)
    outputs = read_reference(export(request).reference).outputs
    assert [str(o.spec) for o in outputs] == ["int64[]", "float64[]", "bool[]", "float32[2]"]
    assert [to_array(o).item() for o in outputs[:3]] == [2, 1.0, True]


def test_scripted_control_flow_survives(request_: ExportRequest) -> None:
    for source, capture, how in (
        ("export_nets:Branching", Capture.SCRIPT, "script"),
        ("export_nets:scripted", Capture.AUTO, "as is"),
    ):
        result = export(replace(request_, source=source, capture=capture, inputs=VECTOR))
        assert result.capture == how
        (info,) = read_models([request_.output])
        assert Operator("aten::gt", "Scalar") in info.operators


def test_torchscript_file_is_exported_as_it_is(request_: ExportRequest, tmp_path: Path) -> None:
    import torch

    source = tmp_path / "in" / "é model.pt"
    source.parent.mkdir()
    torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout())).save(
        str(source)
    )
    result = export(replace(request_, source=str(source), inputs=VECTOR))
    assert result.capture == "as is"
    again = replace(
        request_, source=str(request_.output), output=tmp_path / "again.ptl", inputs=VECTOR
    )
    assert export(again).differences[0].ok


def test_state_is_saved_as_it_was_loaded(request_: ExportRequest) -> None:
    request = replace(
        request_, source="export_nets:Counting", inputs=VECTOR, capture=Capture.SCRIPT
    )
    case = read_reference(export(request).reference)
    assert to_array(case.outputs[0]) == pytest.approx(to_array(case.inputs[0]) + 1)


def test_models_run_in_eval_mode(request_: ExportRequest) -> None:
    case = read_reference(
        export(replace(request_, source="export_nets:Trained", inputs=VECTOR)).reference
    )
    assert case.outputs[0].data == case.inputs[0].data


def test_no_reference_takes_models_that_give_nan(request_: ExportRequest) -> None:
    request = replace(request_, source="export_nets:Nan", inputs=VECTOR)
    fail(request, ModelError, "2 NaN", "--no-reference")
    assert export(replace(request, reference=False)).reference is None
    assert [path.name for path in request.output.parent.iterdir()] == ["m.ptl"]


def test_failure_leaves_the_older_file_alone(request_: ExportRequest) -> None:
    request_.output.write_bytes(b"older")
    with pytest.raises(ModelError):
        export(replace(request_, source="export_nets:raising"))
    assert request_.output.read_bytes() == b"older"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("mobilenet_v22", ("mobilenet_v22", "mobilenet_v2,")),
        ("nothing_like_it", ("SOURCE is", "package.module:factory")),
        ("absent.pt", ("does not exist",)),
        ("export_absent:f", ("needs the module 'export_absent'",)),
        ("export_needing:f", ("a_module_that_is_missing",)),
        ("export_broken:f", ("AttributeError", "export_broken.py:2")),
        ("export_nets:Foldd", ("export_nets:Folded",)),
        ("export_nets:", ("does not name an object of a module",)),
        ("export_nets.py:Folded", ("export_nets",)),
        (":f", ("does not name an object of a module",)),
        ("export_nets:number", ("int", "not a function")),
        ("export_nets:listing", ("returned a list",)),
        ("export_nets:raising", ("KeyError: 'conv'", "export_nets.py:", "in raising")),
        ("export_nets:Texts", ("a str", "output[1]")),
        ("export_nets:Complex", ("complex64",)),
        ("export_nets:Nothing", ("no values",)),
        ("export_nets:Untraceable", ("a str",)),
    ],
)
def test_bad_sources(request_: ExportRequest, source: str, words: tuple[str, ...]) -> None:
    fail(replace(request_, source=source, inputs=VECTOR), ModelError, *words)


def test_inputs_that_do_not_fit(request_: ExportRequest) -> None:
    fail(replace(request_, inputs=VECTOR), ModelError, "float32[2]", "export_nets.py:", "--input")
    fail(replace(request_, inputs=IMAGE * 2), ModelError, "float32[1,3,8,8], float32[1,3,8,8]")
    fail(replace(request_, inputs=()), ConfigurationError, "--input")


def test_what_torchscript_cannot_express(request_: ExportRequest) -> None:
    scripted = replace(request_, inputs=VECTOR, capture=Capture.SCRIPT)
    fail(
        replace(scripted, source="export_nets:Unscriptable"),
        ModelError,
        "cannot be scripted",
        "export_nets.py:",
        "x.numpy()",
        "--via trace",
    )
    traced = replace(scripted, capture=Capture.TRACE)
    fail(
        replace(traced, source="export_nets:Mixed"), ModelError, "cannot be traced", "--via script"
    )


def test_decisions_that_a_trace_freezes_are_noted(request_: ExportRequest) -> None:
    from builder.api.exports import export

    notes: list[str] = []

    class Noting(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    export(replace(request_, source="export_nets:Branching", inputs=VECTOR), progress=Noting())
    assert len(notes) == 1
    assert "export_nets.py:" in notes[0]
    assert "Python boolean" in notes[0]


def test_lite_file_that_differs_is_not_written(request_: ExportRequest) -> None:
    random = replace(request_, source="export_nets:Random", inputs=VECTOR)
    fail(random, VerificationError, "output 0", "eager runs differ", "numpy")
    fail(
        replace(request_, tolerance=0.0),
        VerificationError,
        "largest relative difference",
        "--tolerance",
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"no archive", "its first bytes are"),
        (b"PK\x03\x04" + b"\0" * 40, "damaged"),
    ],
    ids=["empty", "text", "cut"],
)
def test_files_that_are_no_torchscript(
    request_: ExportRequest, folder: Path, content: bytes, words: str
) -> None:
    (folder / "bad.pt").write_bytes(content)
    fail(replace(request_, source="bad.pt"), ModelError, words)


def test_pickled_modules_are_refused_and_not_executed(
    request_: ExportRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import torch

    witness = tmp_path_factory.mktemp("witness") / "executed"

    class Hostile:
        def __reduce__(self) -> object:
            return (open, (str(witness), "w"))

    torch.save({"weights": Hostile()}, folder / "hostile.pt")
    fail(replace(request_, source="hostile.pt"), ModelError, "a file of torch.save", "function")
    assert not witness.exists()


def test_output_that_cannot_be_written(request_: ExportRequest, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path, tmp_path / "file" / "m.ptl"):
        with pytest.raises(ConfigurationError, match="folder"):
            export(replace(request_, output=output))


def test_torch_without_xnnpack(request_: ExportRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch._C, "_is_xnnpack_enabled", lambda: False)
    optimised = replace(request_, optimisation=Optimisation())
    result = export(optimised)
    *_, plain, last = result.stages
    assert (plain.name, plain.ok, last.name, last.seconds) == ("optimised", True, "lite", None)
    assert "builder verify" in last.remark


def test_import_path_is_left_as_it_was(request_: ExportRequest) -> None:
    before = list(sys.path)
    export(request_)
    assert sys.path == before


def test_torchvision_models_give_telling_outputs_and_repeat(
    request_: ExportRequest, tmp_path: Path
) -> None:
    small = replace(request_, source="mobilenet_v3_small", inputs=())
    result = export(small)
    assert result.inputs == (TensorSpec(DType.FLOAT32, (1, 3, 224, 224)),)
    assert [(d.ok, d.problem) for d in result.differences] == [(True, "")]
    assert abs(to_array(read_reference(result.reference).outputs[0])).max() > 1e-3


def test_nothing_is_downloaded_for_models_with_backbones(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from builder.export.load import load_module

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", pytest.fail)
    loaded = load_module("lraspp_mobilenet_v3_large", folder=request_.folder, seed=0)
    assert loaded.usual_inputs == (TensorSpec(DType.FLOAT32, (1, 3, 224, 224)),)


def test_torchvision_gives_pretrained_weights_when_asked(
    request_: ExportRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    import torchvision

    from builder.export.load import load_requested

    state = torchvision.models.squeezenet1_1(weights=None).state_dict()
    asked: list[str] = []

    def download(url: str, *_: object, **__: object) -> object:
        asked.append(url)
        return state

    monkeypatch.setattr("torchvision._internally_replaced_utils.load_state_dict_from_url", download)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", download)
    request = replace(request_, source="squeezenet1_1", inputs=(), weights=Path("DEFAULT"))
    loaded = load_requested(request).module.state_dict()
    assert len(asked) == 1
    assert "squeezenet1_1" in asked[0]
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    fail(replace(request, weights=Path("IMAGENET9_V9")), ModelError, "IMAGENET9_V9")


def test_weights_that_start_as_zeros_are_filled_and_others_kept() -> None:
    import torch

    from builder.export.random_weights import fill_zero_weights

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    torch.nn.init.zeros_(module[0].weight)
    torch.nn.init.zeros_(module[0].bias)
    kept = module[1].weight.clone()
    fill_zero_weights(module)
    assert module[0].weight.all()
    assert not module[0].bias.any()
    assert torch.equal(module[1].weight, kept)
