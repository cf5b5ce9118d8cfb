"""`builder export` beyond one traced float model: quantised, nested, older, other methods."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from builder.api import read_models
from builder.cli.hints import show_hint
from builder.core.arrays import to_array
from builder.core.known import KnownOperators
from builder.core.nesting import MethodInputs, parse_input
from builder.errors import BuilderError, ConfigurationError, ModelError, ToolchainError
from builder.export.request import (
    Capture,
    ExportRequest,
    ExportResult,
    Flow,
    LiteFormat,
    Method,
    MobileBackend,
    Optimisation,
    Pass,
    Quantisation,
    Saving,
)
from builder.system.progress import Silent
from builder.system.reference_cases import read_reference

pytestmark = pytest.mark.torch

NETS = """
import numpy
import torch
from torch import nn
from torch.ao.quantization import DeQuantStub, QuantStub

class Small(nn.Module):
    def __init__(self, classes=4, fail=False):
        super().__init__()
        if fail:
            raise ValueError("asked to fail")
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.out = nn.Linear(8, classes)
    def forward(self, x):
        x = nn.functional.relu(self.norm(self.conv(x)))
        return self.out(x.mean((2, 3)))

class Stubbed(Small):
    def __init__(self):
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()
    def fuse_model(self):
        torch.ao.quantization.fuse_modules(self, ["conv", "norm"], inplace=True)
    def forward(self, x):
        x = torch.relu(self.norm(self.conv(self.quant(x))))
        return self.dequant(self.out(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1)))

class Nothing(nn.Module):
    def forward(self, x):
        return x * 2

class InPlace(nn.Module):
    def forward(self, x):
        x = nn.functional.relu6(x + x)
        return nn.functional.hardtanh(nn.functional.relu(x + x, inplace=True), 0.0, 6.0, True)

class Sum(nn.Module):
    def forward(self, x):
        return x + x

class Nested(nn.Module):
    def forward(self, pair: list[torch.Tensor], named: dict[str, torch.Tensor], by: float):
        return pair[0] @ pair[1] * by, named["bias"] + 1

class Grouped(nn.Module):
    def forward(self, pair):
        return pair[0] + pair[1]

class Frozen(nn.Module):
    def forward(self, x):
        return x + torch.zeros(x.shape[0], 1) + sum(range(len(x)))

class Methods(nn.Module):
    def forward(self, x):
        return self.encode(x) * 2
    @torch.jit.export
    def encode(self, x):
        return x + 1
    @torch.jit.export
    def scaled(self, x, times: int):
        return x * times
    @torch.jit.export
    def split(self, x):
        return x + 1 if torch.jit.is_scripting() else x
    def plain(self, x):
        return x - 1

class Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

class Python(nn.Module):
    def forward(self, x):
        return Function.apply(x)

class Ignored(nn.Module):
    @torch.jit.ignore
    def helper(self, x: torch.Tensor) -> torch.Tensor:
        return x
    def forward(self, x):
        return self.helper(x)

class Doubles(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(), nn.BatchNorm1d(3)
        self.scale = torch.ones(3, dtype=torch.float64)
    def forward(self, x):
        return self.norm(self.drop(x)) * self.scale

class Gradients(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.ones(3, requires_grad=True)
    def forward(self, x):
        return x * self.scale

class Numpy(nn.Module):
    def forward(self, x):
        return x + float(numpy.random.rand())

class Random(nn.Module):
    def forward(self, x):
        return x + torch.rand(3)

def loader():
    for seed in range(3):
        torch.manual_seed(seed)
        yield torch.rand(2, 3, 8, 8), torch.zeros(2)

def broken_loader():
    yield torch.rand(1, 3, 8, 8)
    raise OSError("no more disk")
"""
IMAGE = (parse_input("float32[1,3,8,8]"),)
ROW = (parse_input("float32[2,3]"),)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    (folder / "feature_nets.py").write_text(NETS)
    return folder


@pytest.fixture(scope="session")
def xnnpack() -> bool:
    """Not every torch has it; what does not depend on it is tested without."""
    from builder.export.capabilities import probe_torch

    return probe_torch().xnnpack


@pytest.fixture
def request_(folder: Path, tmp_path: Path, xnnpack: bool) -> ExportRequest:
    return ExportRequest(
        source="feature_nets:Small",
        output=tmp_path / "m.ptl",
        folder=folder,
        inputs=IMAGE,
        optimisation=Optimisation(enabled=xnnpack),
    )


def export(request: ExportRequest) -> ExportResult:
    from builder.api.exports import export

    return export(request, progress=Silent())


def keep(*texts: str) -> tuple[MethodInputs, ...]:
    return tuple(map(MethodInputs.parse, texts))


def operators(request: ExportRequest) -> str:
    return " ".join(map(str, read_models([request.output])[0].operators))


def of(request: ExportRequest, name: str, **changes: object) -> ExportRequest:
    return replace(request, source=f"feature_nets:{name}", **changes)


def fail(request: ExportRequest, error: type[BuilderError], *words: str) -> None:
    """The export raises, says `words`, and leaves nothing behind."""
    with pytest.raises(error) as caught:
        export(request)
    for word in words:
        assert word in f"{caught.value.message}\n{show_hint(caught.value.hint or '', 'export')}"
    assert not list(request.output.parent.iterdir())


def quantised(method: Method, flow: Flow, *, per_channel: bool = False) -> Quantisation:
    return Quantisation(method=method, flow=flow, per_channel=per_channel)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("name", "method", "flow", "operator"),
    [
        ("Small", Method.STATIC, Flow.FX, "quantized::conv2d_relu"),
        ("Stubbed", Method.STATIC, Flow.EAGER, "quantized::linear"),
        ("Small", Method.DYNAMIC, Flow.EAGER, "quantized::linear_dynamic"),
        ("Small", Method.DYNAMIC, Flow.FX, "quantized::linear_dynamic"),
    ],
)
def test_quantised_models_are_smaller_near_and_exactly_what_was_saved(
    request_: ExportRequest,
    xnnpack: bool,
    name: str,
    method: Method,
    flow: Flow,
    operator: str,
    per_channel: bool,
) -> None:
    wanted = quantised(method, flow, per_channel=per_channel)
    result = export(of(request_, name, quantisation=wanted, calibrate="feature_nets:loader"))
    stages = {stage.name: stage for stage in result.stages}
    # The convolution is not quantised dynamically, so XNNPACK takes it.
    packed = method is Method.DYNAMIC
    optimised = ["optimised"] if packed else []
    assert list(stages) == ["eager", "quantised", "traced", *optimised, "lite"]
    assert stages["quantised"].size < stages["eager"].size
    assert 0 < stages["quantised"].max_absolute < 0.1
    assert stages["quantised"].agreement.rows == 6
    last = "lite" if xnnpack or not packed else "optimised"
    assert stages[last].against == "quantised"
    assert result.failure is None
    assert operator in operators(request_)


def test_random_calibration_is_said(request_: ExportRequest) -> None:
    static = of(request_, "Small", quantisation=quantised(Method.STATIC, Flow.FX))
    assert any("random inputs" in remark for remark in export(static).remarks)


def test_what_cannot_be_quantised(request_: ExportRequest, monkeypatch) -> None:
    static, dynamic = quantised(Method.STATIC, Flow.EAGER), quantised(Method.DYNAMIC, Flow.EAGER)
    fail(of(request_, "Small", quantisation=static), ModelError, "QuantStub", "fx")
    fail(of(request_, "Nothing", quantisation=dynamic), ModelError, "nothing in the model")
    import torch

    monkeypatch.setattr(
        type(torch.backends.quantized), "supported_engines", property(lambda _: ["none"])
    )
    fail(of(request_, "Small", quantisation=dynamic), ToolchainError, "without QNNPACK")


def test_calibration_data_from_folders(request_: ExportRequest, folder: Path) -> None:
    from PIL import Image

    photos = folder / "photos"
    photos.mkdir(exist_ok=True)
    Image.fromarray(np.full((20, 30, 3), 255, np.uint8)).save(photos / "a.png")
    np.save(photos / "b.npy", np.zeros((1, 3, 8, 8), np.float32))
    case = read_reference(export(replace(request_, calibrate="photos")).reference)
    white = (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    assert to_array(case.inputs[0])[0, :, 4, 4] == pytest.approx(white, abs=1e-5)


@pytest.mark.parametrize(
    ("calibrate", "error", "words"),
    [
        ("absent", ConfigurationError, ("does not exist", "package.module:loader")),
        ("feature_nets:broken_loader", ModelError, ("OSError: no more disk", "feature_nets.py:")),
        ("feature_nets:absent", ModelError, ("no 'absent'",)),
    ],
)
def test_bad_calibration(request_: ExportRequest, calibrate, error, words) -> None:
    fail(replace(request_, calibrate=calibrate), error, *words)


def test_nested_inputs_and_numbers(request_: ExportRequest) -> None:
    texts = ("[float32[2,3], float32[3,2]]", '{"bias": int64[2]}', "0.5")
    inputs = tuple(map(parse_input, texts))
    result = export(of(request_, "Nested", inputs=inputs, capture=Capture.SCRIPT))
    case = read_reference(result.reference)
    assert [str(tensor.spec) for tensor in case.inputs[:3]] == [
        "float32[2,3]",
        "float32[3,2]",
        "int64[2]",
    ]
    assert parse_input(case.structure).items == inputs
    again = replace(request_, source=str(request_.output), inputs=())
    assert export(replace(again, output=request_.output.with_name("again.ptl"))).inputs == inputs


def test_nested_inputs_can_be_traced(request_: ExportRequest) -> None:
    for text in ("(float32[2], float32[2])", "[float32[2], float32[2]]"):
        assert export(of(request_, "Grouped", inputs=(parse_input(text),))).failure is None


def test_a_trace_that_froze_shapes_is_told(request_: ExportRequest) -> None:
    frozen = of(request_, "Frozen", inputs=ROW)
    assert "other shapes: with a larger batch, float32[3,3]" in "".join(export(frozen).remarks)
    assert not export(of(request_, "Small")).remarks[1:]
    second = replace(frozen, second_inputs=(parse_input("float32[2,5]"),))
    assert "wrong for other shapes" not in "".join(export(second).remarks)
    fail_at = of(request_, "Small", second_inputs=ROW, output=request_.output.parent / "x" / "m")
    with pytest.raises(ModelError, match="does not run on float32\\[2,3\\]"):
        export(fail_at)


@pytest.mark.parametrize("capture", [Capture.TRACE, Capture.SCRIPT])
def test_methods_are_kept(request_: ExportRequest, xnnpack: bool, capture: Capture) -> None:
    export(of(request_, "Methods", inputs=ROW, capture=capture, methods=keep("encode")))
    found = set(read_models([request_.output])[0].methods)
    assert found >= {"encode", "forward"}
    assert not found & {"scaled", "split"} or not xnnpack  # left out when it is optimised
    export(of(request_, "Methods", inputs=ROW, methods=keep("plain")))
    assert "plain" in read_models([request_.output])[0].methods


def test_methods_are_compared_where_they_take_the_inputs(request_: ExportRequest) -> None:
    kept = of(request_, "Methods", inputs=ROW, methods=keep("encode", "scaled"))
    result = export(kept)
    stages = {stage.name: stage for stage in result.stages}
    assert result.stages[-1].name == "lite"
    assert stages["lite encode()"].max_absolute == 0
    assert "'times'" in stages["lite scaled()"].remark
    request_.output.unlink()
    result.reference.unlink()
    split = export(replace(kept, methods=keep("split")))
    assert "lite split() differs" in split.failure.message
    assert not list(request_.output.parent.iterdir())


def test_methods_that_are_not_there(request_: ExportRequest) -> None:
    fail(
        of(request_, "Methods", inputs=ROW, methods=keep("decode")),
        ModelError,
        "no method 'decode'",
    )
    lost = of(request_, "Methods", inputs=ROW, methods=keep("plain"), capture=Capture.SCRIPT)
    fail(lost, ModelError, "in TorchScript", "@torch.jit.export")


def test_bundled_inputs_and_extra_files(request_: ExportRequest, tmp_path_factory) -> None:
    from torch.jit.mobile import _load_for_lite_interpreter

    labels = tmp_path_factory.mktemp("in") / "labels.txt"
    labels.write_text("cat\ndog\n")
    saving = Saving(bundle_inputs=True, extra_files=(("labels.txt", labels),))
    result = export(replace(request_, saving=saving))
    content = request_.output.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("extra/labels.txt")]
        assert archive.read(name) == b"cat\ndog\n"
    module = _load_for_lite_interpreter(io.BytesIO(content))
    (bundled,) = module.run_method("get_all_bundled_inputs")
    saved = read_reference(result.reference).inputs[0]
    assert bundled[0].numpy().tobytes() == saved.data
    missing = Saving(extra_files=(("a", labels.with_name("absent")),))
    with pytest.raises(ConfigurationError, match="absent"):
        export(replace(request_, saving=missing))


@pytest.mark.parametrize("version", [4, 5, 7, 8])
def test_older_bytecode(request_: ExportRequest, version: int) -> None:
    result = export(replace(request_, saving=Saving(bytecode_version=version)))
    assert (result.bytecode_version, result.failure) == (version, None)
    assert read_models([request_.output])[0].bytecode_version == version


def test_bytecode_that_no_runtime_reads_or_torch_does_not_write(request_: ExportRequest) -> None:
    for version in (3, 10):
        saving = Saving(bytecode_version=version)
        fail(replace(request_, saving=saving), ConfigurationError, f"version {version}", "4 to 9")
    fail(replace(request_, saving=Saving(bytecode_version=9)), ModelError, "not 9", "at most 8")


def test_flatbuffer_files(request_: ExportRequest) -> None:
    flat = Saving(format=LiteFormat.FLATBUFFER)
    result = export(replace(request_, saving=flat))
    (info,) = read_models([request_.output])
    assert (str(info.format), info.bytecode_version) == ("lite-flatbuffer", result.bytecode_version)
    request_.output.unlink()
    result.reference.unlink()
    fail(replace(request_, saving=replace(flat, bytecode_version=8)), ModelError, "--format zip")


def test_passes_can_be_left_out(request_: ExportRequest, xnnpack: bool) -> None:
    if not xnnpack:
        pytest.skip("this torch is built without XNNPACK")
    left_out = frozenset({Pass.PREPACK})
    export(replace(request_, optimisation=Optimisation(left_out=left_out)))
    assert "clamp_run" not in operators(request_)


def test_backends_that_this_torch_lacks(request_: ExportRequest) -> None:
    from builder.export.capabilities import probe_torch

    for backend in {MobileBackend.METAL} - probe_torch().backends:
        fail(
            replace(request_, optimisation=Optimisation(backend=backend)),
            ToolchainError,
            f"{backend}_prepack::",
            "--backend cpu",
        )


@pytest.mark.parametrize("capture", [Capture.TRACE, Capture.SCRIPT])
@pytest.mark.parametrize("name", ["Sum", "InPlace"])
def test_nnapi_is_written_but_not_run(request_: ExportRequest, name: str, capture: Capture) -> None:
    nnapi = Optimisation(backend=MobileBackend.NNAPI)
    result = export(of(request_, name, optimisation=nnapi, capture=capture))
    assert (result.stages[-1].seconds, result.failure) == (None, None)
    assert "_nnapi.Compilation" in read_models([request_.output])[0].custom_classes


def test_what_nnapi_cannot_express_is_refused(request_: ExportRequest) -> None:
    nnapi = Optimisation(backend=MobileBackend.NNAPI)
    fail(of(request_, "Random", inputs=ROW, optimisation=nnapi), ModelError, "optimised for nnapi")


def test_channels_last_gives_the_same(request_: ExportRequest) -> None:
    plain = read_reference(export(request_).reference)
    other = read_reference(export(replace(request_, channels_last=True)).reference)
    assert plain.inputs == other.inputs
    assert to_array(plain.outputs[0]) == pytest.approx(to_array(other.outputs[0]), abs=1e-6)


def test_arguments_reach_factories_and_torchvision(request_: ExportRequest) -> None:
    def shape(result: ExportResult) -> tuple[int, ...]:
        return read_reference(result.reference).outputs[0].spec.shape

    assert shape(export(replace(request_, arguments=(("classes", "7"),)))) == (1, 7)
    named = replace(request_, source="mobilenet_v3_small", arguments=(("num_classes", "3"),))
    small = replace(named, inputs=(parse_input("float32[1,3,32,32]"),))
    assert shape(export(small)) == (1, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((("fail", "True"),), ModelError, ("ValueError: asked to fail", "fail=True")),
        ((("colour", "1"),), ModelError, ("TypeError", "colour")),
        ((("1st", "1"),), ConfigurationError, ("not a valid name",)),
        ((("fail", "1"), ("fail", "2")), ConfigurationError, ("twice",)),
    ],
)
def test_bad_arguments(request_: ExportRequest, arguments, error, words) -> None:
    fail(replace(request_, arguments=arguments), error, *words)


def test_lints_name_the_users_line(request_: ExportRequest) -> None:
    plain = Optimisation(enabled=False)
    remarks = "\n".join(export(of(request_, "Doubles", inputs=ROW, optimisation=plain)).remarks)
    for word in ("training mode", "dropout is left", "batch norm is left", "float64 constant"):
        assert word in remarks
    line = 1 + NETS[: NETS.index("self.norm(self.drop(x))")].count("\n")
    assert f"feature_nets.py:{line}" in remarks


def test_operators_that_no_runtime_can_have_are_named(request_: ExportRequest) -> None:
    import torch

    from builder.api import load_release
    from builder.api.exports import load_knowledge
    from builder.export.lints import lint_operators

    scripted = torch.jit.script(torch.nn.Linear(2, 2).eval())
    knowledge = load_knowledge(load_release())
    usual = {"aten::linear", "aten::int_repr", "aten::q_scale", "aten::mul.Tensor", "prim::unknown"}
    assert lint_operators(usual, knowledge, scripted, ()) == ()
    nothing = KnownOperators(exact=frozenset(), any_overload=frozenset())
    names = {"aten::linear", "aten::_nested_tensor_from_mask", "mine::own"}
    nested, linear, own = lint_operators(names, replace(knowledge, known=nothing), scripted, ())
    assert nested == "raises when called: aten::_nested_tensor_from_mask, makes a nested tensor"
    assert linear.startswith("raises when called: aten::linear, has no kernel")
    assert own == "builder cannot build a runtime with mine::own"


def test_python_in_the_graph_is_refused_with_its_line(request_: ExportRequest) -> None:
    line = 1 + NETS[: NETS.index("Function.apply")].count("\n")
    fail(
        of(request_, "Python", inputs=ROW),
        ModelError,
        "calls Python: Function",
        str(line),
    )
    ignored = of(request_, "Ignored", inputs=ROW, capture=Capture.SCRIPT)
    fail(ignored, ModelError, "calls Python: helper", "@torch.jit.ignore")


def test_constants_with_gradients(request_: ExportRequest) -> None:
    gradients = of(request_, "Gradients", inputs=ROW)
    fail(gradients, ModelError, "cannot be traced", "register_buffer")
    scripted = export(replace(gradients, capture=Capture.SCRIPT))
    assert any("scale is a plain tensor that requires gradients" in r for r in scripted.remarks)


def test_keep_writes_a_file_that_differs_and_says_so(request_: ExportRequest) -> None:
    random = of(request_, "Numpy", inputs=ROW)
    refused = export(random)
    assert (refused.path, refused.reference) == (None, None)
    assert not list(request_.output.parent.iterdir())
    kept = export(replace(random, keep=True))
    assert kept.failure is not None
    assert request_.output.is_file()
    assert not kept.stages[-1].ok
