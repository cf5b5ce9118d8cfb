"""Kinds of models that users reported: each exports, or the error names the cause and a way out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.api import read_models
from builder.cli.hints import show_hint
from builder.core.differences import BY_SHAPE
from builder.core.nesting import parse_input
from builder.errors import ModelError, VerificationError
from builder.export.request import (
    Capture,
    ExportRequest,
    ExportResult,
    Flow,
    Method,
    Optimisation,
    Quantisation,
)
from builder.system.progress import Silent

pytestmark = pytest.mark.torch

DATA = Path(__file__).resolve().parents[1] / "data"

NETS = '''
import enum

import numpy
import torch
from torch import nn

class Mode(enum.Enum):
    SUM = "sum"
    MEAN = "mean"

class Pool(nn.Module):
    def __init__(self, nested=False):
        super().__init__()
        self.mode: Mode = Mode.MEAN
        self.modes: list[Mode] = [Mode.SUM]
        self.nested = nested
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.nested:
            if self.modes[0] == Mode.SUM:
                return x
        if self.mode == Mode.SUM:
            return x.sum(1)
        return x.mean(1)

class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(30, 4)
        self.r = nn.GRU(4, 5)
    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(self.e(ids), lengths, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(self.r(packed)[0])[0]

class Baked(nn.Module):
    def forward(self, x):
        return x / x.abs().max().item() * 2

class Branch(nn.Module):
    def forward(self, x):
        return x * 2 if float(x.sum()) > 0 else x - 100

class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Conv2d(3, 4, 3).half()
    def forward(self, x):
        return self.l(x.half()).float()

class Cuda(nn.Module):
    def forward(self, x):
        return x + torch.zeros(3, device="cuda:0")

class Mixed(nn.Module):
    def forward(self, x):
        return x.to("meta") + torch.ones(3) + x

class NoForward(nn.Module):
    @torch.jit.export
    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1

class Encoder(nn.Module):
    def __init__(self, layers=1):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.t = nn.TransformerEncoder(layer, layers)
    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.t(x, src_key_padding_mask=mask)

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.t = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    def forward(self, x):
        return self.t(x)

class Projected(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.LSTM(6, 8, proj_size=3, batch_first=True)
    def forward(self, x):
        return self.r(x)[0]

class Noise(nn.Module):
    def forward(self, x):
        return torch.sigmoid(x + torch.randn_like(x))

class Branching(nn.Module):
    """Draws other numbers as TorchScript than in Python."""
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.jit.is_scripting():
            return x + torch.rand([2, 3])
        return x + torch.randn([2, 3])

class FrozenDraw(nn.Module):
    def forward(self, x):
        return x * torch.rand(1).item()

class Numpy(nn.Module):
    def forward(self, x):
        return x * numpy.random.rand()

def same():
    return nn.Sequential(nn.Conv1d(4, 6, 5, padding="same"), nn.ReLU())

def uneven():
    return nn.Sequential(nn.Conv2d(3, 6, (4, 3), padding="same", dilation=(1, 2)), nn.ReLU())

def valid():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding="valid"), nn.BatchNorm2d(8))

class Ways(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        f = torch.jit.fork(self.a, x)
        with torch.autograd.profiler.record_function("b"):
            with torch.no_grad():
                y = self.b(x)
                if y.size(0) > 5:
                    return y
        return y + torch.jit.wait(f)

@torch.jit.script
def without(x: torch.Tensor):
    with torch.no_grad():
        y = x * 2
    return y

class Calls(nn.Module):
    def forward(self, x: torch.Tensor):
        return without(x)

class Futures(nn.Module):
    def forward(self, x: torch.Tensor):
        futures = [torch.jit.fork(without, x), torch.jit.fork(without, x)]
        return torch.jit.wait(futures[0]) + torch.jit.wait(futures[1])

class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 2), nn.Linear(4, 0), nn.Linear(0, 3)
    def forward(self, x):
        return self.a(x), self.b(x), self.c(x[:, :0])
'''
ROW = (parse_input("float32[2,3]"),)
WIDE = (parse_input("float32[2,4]"),)
MASKED = tuple(map(parse_input, ("float32[2,5,8]", "bool[2,5]")))
PLAIN = Optimisation(enabled=False)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "kind_nets.py").write_text(NETS)
    return folder


@pytest.fixture
def request_(folder: Path, tmp_path: Path) -> ExportRequest:
    return ExportRequest(
        source="", output=tmp_path / "m.ptl", folder=folder, inputs=ROW, capture=Capture.TRACE
    )


def export(request: ExportRequest, name: str, **changes: object) -> ExportResult:
    from builder.api.exports import export

    changed = replace(request, source=f"kind_nets:{name}", **changes)
    return export(changed, progress=Silent())


def fail(request: ExportRequest, name: str, **changes: object) -> str:
    """Returns message and hint of the ModelError."""
    with pytest.raises(ModelError) as caught:
        export(request, name, **changes)
    assert not request.output.exists()
    return f"{caught.value.message}\n{show_hint(caught.value.hint or '', 'export')}"


def line_of(code: str) -> str:
    return f"kind_nets.py:{1 + NETS[: NETS.index(code)].count(chr(10))}"


SCRIPT = {"capture": Capture.SCRIPT}


def test_enums_are_computed_or_named(request_: ExportRequest) -> None:
    given = (parse_input("float32[1,5,4]"),)
    result = export(request_, "Pool", inputs=given, **SCRIPT)
    scripted = next(stage for stage in result.stages if stage.name == "scripted")
    assert scripted.remark == "not run: it has a member of an Enum, kind_nets.Mode('sum')"
    request_.output.unlink()
    text = fail(request_, "Pool", inputs=given, optimisation=PLAIN, **SCRIPT)
    assert "Enum, kind_nets.Mode(" in text
    assert "leave out --no-optimize" in text
    held = (("nested", "True"),)
    text = fail(request_, "Pool", inputs=given, arguments=held, **SCRIPT)
    assert "keep a str or an int in the module instead of an Enum" in text


def test_tuples_of_torch_are_computed_or_named(request_: ExportRequest) -> None:
    given = tuple(map(parse_input, ("int64[7,2]", "int64[2]")))
    text = fail(request_, "Packed", inputs=given, optimisation=PLAIN, **SCRIPT)
    assert "NamedTuple of torch.nn.utils.rnn.PackedSequence" in text
    assert "leave out --no-optimize" in text
    assert export(request_, "Packed", inputs=given, **SCRIPT).failure is None


@pytest.mark.parametrize("name", ["Baked", "Branch"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_values_that_a_trace_froze_are_found(request_, name: str, seed: int) -> None:
    result = export(request_, name, seed=seed)
    assert result.failure is not None
    assert "--via script" in show_hint(result.failure.hint, "export")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Cuda", "take the device of an input"),
        ("Mixed", "tensors are on several devices"),
        ("NoForward", "methods alone cannot be exported"),
    ],
)
def test_hints_fit_the_error(request_: ExportRequest, name: str, words: str) -> None:
    assert words in fail(request_, name)


def test_a_missing_kernel_is_not_blamed_on_the_inputs(request_: ExportRequest) -> None:
    import torch

    given = (parse_input("float32[1,3,8,8]"),)
    if torch.__version__.startswith("1."):
        assert "compute in float32" in fail(request_, "Half", inputs=given)
    else:
        assert export(request_, "Half", inputs=given).failure is None


def test_transformers_are_quantised_without_the_fast_path(request_: ExportRequest) -> None:
    given = (parse_input("float32[2,5,8]"),)
    wanted = Quantisation(method=Method.DYNAMIC, flow=Flow.EAGER)
    result = export(request_, "Layer", inputs=given, quantisation=wanted)
    assert result.failure is None
    assert "quantized::linear_dynamic" in map(str, read_models([request_.output])[0].operators)
    request_.output.unlink()
    text = fail(request_, "Layer", inputs=given, quantisation=replace(wanted, flow=Flow.FX))
    assert "--quantize-flow eager" in text


def test_a_quantised_form_of_another_shape_is_refused(request_: ExportRequest) -> None:
    given = (parse_input("float32[2,5,6]"),)
    assert export(request_, "Projected", inputs=given).failure is None
    request_.output.unlink()
    wanted = Quantisation(method=Method.DYNAMIC)
    text = fail(request_, "Projected", inputs=given, quantisation=wanted, **SCRIPT)
    assert "returns float32[2,5,8] instead of float32[2,5,3]" in text


def test_random_models_draw_the_same_in_all_forms(request_: ExportRequest) -> None:
    result = export(request_, "Noise")
    assert result.failure is None
    assert not any(difference.problem for difference in result.differences)
    assert not any("other shapes" in remark for remark in result.remarks)


def test_models_that_draw_other_numbers_are_judged_by_shape(request_: ExportRequest) -> None:
    result = export(request_, "Branching", **SCRIPT)
    assert result.failure is None
    assert result.path is not None
    assert [difference.problem for difference in result.differences] == [BY_SHAPE]


@pytest.mark.parametrize(
    ("name", "words"),
    [("FrozenDraw", "the trace froze a drawn number"), ("Numpy", "outside of torch")],
)
def test_random_numbers_that_a_trace_froze_are_no_chance(request_, name: str, words: str) -> None:
    result = export(request_, name)
    assert result.failure is not None
    assert words in str(result.failure.hint)


def test_encoders_make_no_nested_tensors(request_: ExportRequest) -> None:
    import io

    import torch
    from torch.jit.mobile import _load_for_lite_interpreter

    result = export(request_, "Encoder", inputs=MASKED, **SCRIPT)
    assert any("nested tensors are switched off" in remark for remark in result.remarks)
    assert not any("cannot build" in remark for remark in result.remarks)
    module = _load_for_lite_interpreter(io.BytesIO(request_.output.read_bytes()))
    # As all real masks are: True at the end.
    mask = torch.tensor([[False] * 4 + [True]] * 2)
    output = module(torch.rand(2, 5, 8), mask)
    assert output.shape == (2, 5, 8)
    assert output[:, 4].abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "given"),
    [("same", "float32[1,4,32]"), ("uneven", "float32[1,3,9,9]"), ("valid", "float32[1,3,16,16]")],
)
@pytest.mark.parametrize("capture", [Capture.TRACE, Capture.SCRIPT])
def test_padding_as_text_is_packed(request_, name: str, given: str, capture: Capture) -> None:
    result = export(request_, name, inputs=(parse_input(given),), capture=capture)
    assert result.failure is None
    assert "prepacked::conv2d_clamp_run" in map(str, read_models([request_.output])[0].operators)


def test_contexts_and_forks_are_taken_out(request_: ExportRequest) -> None:
    result = export(request_, "Ways", inputs=WIDE, **SCRIPT)
    assert result.failure is None
    remarks = "\n".join(result.remarks)
    assert f"{line_of('with torch.no_grad():')}: with torch.no_grad():" in remarks
    assert line_of("f = torch.jit.fork") in remarks
    assert "record_function" in remarks


def test_contexts_and_forks_that_stay_are_named(request_: ExportRequest) -> None:
    text = fail(request_, "Calls", inputs=WIDE, **SCRIPT)
    assert "a `with` statement of torch.autograd.grad_mode.no_grad" in text
    assert line_of("with torch.no_grad():\n        y = x * 2") in text
    text = fail(request_, "Futures", inputs=WIDE, **SCRIPT)
    assert "torch.jit.fork()" in text
    assert line_of("futures = [") in text


def test_layers_without_elements_stay_as_they_are(request_: ExportRequest) -> None:
    result = export(request_, "Heads", inputs=WIDE)
    assert result.failure is None
    names = set(map(str, read_models([request_.output])[0].operators))
    assert {"prepacked::linear_clamp_run", "aten::linear"} <= names


def test_torchscript_by_a_newer_torch_is_named_as_that(tmp_path: Path) -> None:
    from builder.export.torchscript_files import _unreadable

    newer = _unreadable(
        tmp_path / "m.pt", RuntimeError("\nUnknown builtin op: aten::of_tomorrow.\nHere are some")
    )
    assert "is TorchScript by a newer torch" in newer.message
    assert "it has no aten::of_tomorrow" in newer.message
    own = _unreadable(tmp_path / "m.pt", RuntimeError("Unknown builtin op: mine::twice."))
    assert "calls mine::twice, a custom operator" in own.message
    broken = _unreadable(tmp_path / "m.pt", RuntimeError("not a ZIP archive"))
    assert "is not TorchScript: not a ZIP archive" in broken.message


def test_a_lite_file_that_builder_wrote_has_no_torchscript(request_: ExportRequest) -> None:
    assert export(request_, "Heads", inputs=WIDE).failure is None
    from builder.export.torchscript_files import load_torchscript

    with pytest.raises(ModelError, match="a lite file without TorchScript, as builder writes them"):
        load_torchscript(request_.output)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(40)])
def test_a_damaged_program_is_no_torchscript(tmp_path: Path, content: bytes) -> None:
    from builder.api.exports import export

    (tmp_path / "m.pt2").write_bytes(content)
    wanted = ExportRequest(source="m.pt2", output=tmp_path / "m.ptl", folder=tmp_path)
    with pytest.raises(ModelError) as caught:
        export(wanted, progress=Silent())
    assert "TorchScript" not in caught.value.message
    assert not (tmp_path / "m.ptl").exists()


def test_custom_operators_are_refused_all_at_once() -> None:
    from builder.api.exports import load_knowledge
    from builder.export.lints import refuse_custom
    from builder.sources.releases import load_release

    knowledge = load_knowledge(load_release())
    refuse_custom({"aten::add.Tensor", "torchvision::nms", "prim::Print"}, knowledge)
    with pytest.raises(ModelError) as caught:
        refuse_custom({"mine::twice", "aten::add.Tensor", "mine::thrice"}, knowledge)
    assert "2 custom operators, which no runtime has: mine::thrice, mine::twice" in (
        caught.value.message
    )


def test_tensors_that_are_not_on_the_cpu_are_named() -> None:
    import torch

    from builder.export.lints import refuse_other_devices

    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2, device="meta"))
    with pytest.raises(ModelError) as caught:
        refuse_other_devices(module)
    assert "not on the CPU: 1.weight (meta), 1.bias (meta)" in caught.value.message
    assert "to_empty" in (caught.value.hint or "")
    refuse_other_devices(module[0])


@pytest.mark.parametrize("name", ["conv.ptl", "conv_flatbuffer.ptl"])
def test_a_torch_without_xnnpack_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from builder.export import compare

    content = (DATA / "models" / name).read_bytes()

    def refuse(_: object) -> None:
        raise RuntimeError("isGenericDict() INTERNAL ASSERT FAILED")

    compare.load_lite(content)
    monkeypatch.setattr(compare, "_load_for_lite_interpreter", refuse)
    with pytest.raises(VerificationError, match="INTERNAL ASSERT"):
        compare.load_lite(content)
    without = replace(compare.probe_torch(), xnnpack=False)
    monkeypatch.setattr(compare, "probe_torch", lambda: without)
    with pytest.raises(VerificationError, match=r"^torch \S+ has no XNNPACK, for which layers of"):
        compare.load_lite(content)
    with pytest.raises(VerificationError, match="INTERNAL ASSERT"):
        compare.load_lite((DATA / "models" / "lstm.ptl").read_bytes())


DETECTOR = """
import torch
from torch import nn

class Sizes:
    def __init__(self, first: int):
        self.first = first

class Detector(nn.Module):
    def forward(self, images: list[torch.Tensor]):
        found = {"boxes": images[0][0], "scores": images[0].mean((1, 2))}
        if torch.jit.is_scripting():
            losses: dict[str, torch.Tensor] = {}
            return losses, [found]
        else:
            return [found]

class Sized(nn.Module):
    def forward(self, x: torch.Tensor):
        return x + Sizes(x.size(0)).first
"""


def test_a_script_takes_one_image_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script of a detection model returns losses beside the results, as torchvision's do."""
    import torch

    from builder.export.torchvision_models import SingleImage

    (tmp_path / "detectors.py").write_text(DETECTOR)
    monkeypatch.syspath_prepend(tmp_path)
    import detectors

    model, image = SingleImage(detectors.Detector()), torch.rand(1, 3, 4, 4)
    eager, scripted = model(image), torch.jit.script(model)(image)
    assert isinstance(eager, tuple)
    assert [value.tolist() for value in scripted] == [value.tolist() for value in eager]


def test_a_class_that_no_lite_file_can_have_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from builder.export.save import format_lite

    (tmp_path / "sizers.py").write_text(DETECTOR)
    monkeypatch.syspath_prepend(tmp_path)
    import sizers

    with pytest.raises(ModelError, match=r"makes objects of the class sizers\.Sizes$") as caught:
        format_lite(torch.jit.script(sizers.Sized()))
    assert "--via trace" in show_hint(caught.value.hint, "export")
