"""Whole modules are made for Vulkan, written, read again, and compute what eager PyTorch does."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from builder.core.tensors import DType, TensorSpec
from builder.errors import ModelError
from builder.export.request import MobileBackend, Optimisation, Saving
from builder.export.rewrite_models import Rewritten, rewrite
from builder.graph.lift import lift_program
from builder.graph.packed import check_packed
from builder.graph.program import Program
from builder.graph.well_formed import check_program
from builder.lite.read import parse_lite
from builder.sources.schemas import load_schemas
from builder.sources.vulkan_kernels import load_vulkan

torch = pytest.importorskip("torch", reason="needs torch")
evaluator = pytest.importorskip("tests.unit.graph_evaluator", reason="needs torch")
cases = pytest.importorskip("tests.unit.graph.vulkan_modules", reason="needs torch")
SCHEMAS, KERNELS = load_schemas(), load_vulkan()


def lite(script: Any) -> bytes:
    return bytes(script._save_to_buffer_for_lite_interpreter())


def make(content: bytes, *shape: int, dtype: str = "float32", allow_cpu: bool = False) -> Rewritten:
    return make_for(content, TensorSpec(dtype=DType(dtype), shape=shape), allow_cpu=allow_cpu)


def make_for(content: bytes, *specs: TensorSpec, allow_cpu: bool = False) -> Rewritten:
    wanted = Optimisation(backend=MobileBackend.VULKAN, allow_cpu=allow_cpu)
    program = lift_program(parse_lite(content), SCHEMAS)
    return rewrite(program, wanted, Saving(), SCHEMAS, vulkan=KERNELS, specs={"forward": specs})


def read(content: bytes) -> Program:
    program = lift_program(parse_lite(content), SCHEMAS)
    check_program(program)
    check_packed(program)
    return program


def script_of(module: Any, sample: Any, way: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(module, sample) if way == "trace" else torch.jit.script(module)


def operators(program: Program) -> set[str]:
    return {node.operator for graph in program.graphs.values() for _, node in graph.block.walk()}


def ready(name: str) -> tuple[Any, Any]:
    """Returns the module with statistics that are not trivial, and an input."""
    torch.manual_seed(0)
    module = getattr(cases, name)().eval()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
    return module, torch.randn(*cases.CASES[type(module)])


@pytest.mark.parametrize(
    ("name", "way"),
    [
        *((case.__name__, "trace") for case in cases.CASES),
        *((case.__name__, "script") for case in cases.CASES if case not in cases.TRACED),
    ],
)
def test_a_module_computes_the_same(name: str, way: str) -> None:
    module, sample = ready(name)
    content = lite(script_of(module, sample, way))
    made = make(content, *sample.shape)
    assert made.split is not None
    assert (made.split.cpu, made.split.transfers) == (0, 0)
    program = read(made.content)
    assert program.root.attributes["optimized_for_vulkan"] is True
    program.root.attributes.clear()
    with torch.no_grad():
        wanted = module(sample.clone())
        got = evaluator.run_method(program, sample.clone())
        again = evaluator.run_method(program, (sample * 0.5).clone())
        other = module((sample * 0.5).clone())
    for one, two in ((got, wanted), (again, other)):
        assert one.shape == two.shape
        assert float((one - two).abs().max()) <= 2e-6 * max(float(two.abs().max()), 1)
    # The stage that torch compares has nothing that only Vulkan runs.
    assert not any("vulkan" in one for one in operators(read(made.plain)))


@pytest.mark.parametrize("name", ["Sequence1d", "Transposed", "UNet", "MobileBlock", "Residual"])
def test_a_file_that_was_made_for_xnnpack_is_unpacked_first(name: str) -> None:
    module, sample = ready(name)
    program = lift_program(parse_lite(lite(script_of(module, sample, "trace"))), SCHEMAS)
    packed = rewrite(program, Optimisation(), Saving(), SCHEMAS).content
    assert any(one.startswith("prepacked::") for one in operators(read(packed)))
    program = read(make(packed, *sample.shape).content)
    assert not any(one.startswith("prepacked::") for one in operators(program))
    program.root.attributes.clear()
    with torch.no_grad():
        wanted = module(sample.clone())
        got = evaluator.run_method(program, sample.clone())
    assert float((got - wanted).abs().max()) <= 2e-6 * max(float(wanted.abs().max()), 1)


def test_a_flatbuffer_has_the_same_program() -> None:
    from builder.export.request import LiteFormat

    module, sample = ready("MobileBlock")
    content = lite(script_of(module, sample, "trace"))
    program = lift_program(parse_lite(content), SCHEMAS)
    wanted = Optimisation(backend=MobileBackend.VULKAN)
    saving = Saving(format=LiteFormat.FLATBUFFER)
    specs = (TensorSpec(dtype=DType.FLOAT32, shape=(1, 8, 6, 6)),)
    made = rewrite(program, wanted, saving, SCHEMAS, vulkan=KERNELS, specs={"forward": specs})
    again = read(made.content)
    assert operators(again) == operators(read(made.packed))


class _Lstm(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.cell = torch.nn.Linear(4, 4), torch.nn.LSTM(4, 6, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.cell(self.first(x))[0]


class _Step(torch.nn.Module):
    """A decoder's step: what comes before it is an input."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = torch.nn.LSTM(4, 6, 2, batch_first=True)
        self.last = torch.nn.GRU(6, 6, batch_first=True)

    def forward(self, x: Any, h: Any, c: Any) -> Any:
        y, (h, c) = self.cell(x.unsqueeze(1), (h, c))
        z, last = self.last(y, h[1:])
        return z, h, c, last


def test_one_step_of_lstm_and_gru_is_packed() -> None:
    torch.manual_seed(0)
    made = _Step().eval()
    given = torch.randn(3, 4), torch.randn(2, 3, 6), torch.randn(2, 3, 6)
    content = lite(torch.jit.trace(made, given))
    specs = [TensorSpec(dtype=DType.FLOAT32, shape=tuple(one.shape)) for one in given]
    rewritten = make_for(content, *specs)
    assert operators(read(rewritten.content)) >= {
        "vulkan_prepack::run_lstm_context",
        "vulkan_prepack::run_gru_context",
    }
    assert rewritten.split is not None
    assert rewritten.split.cpu == 0
    program = read(rewritten.content)
    program.root.attributes.clear()
    with torch.no_grad():
        for one, other in zip(evaluator.run_method(program, *given), made(*given), strict=True):
            assert torch.allclose(one, other, rtol=1e-5, atol=1e-6)


class _Split(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 4, 1)

    def forward(self, x: Any) -> Any:
        y = self.a(x)
        return self.b(torch.where(y > 0, y, torch.erf(y))) + y[:, :4]


class _Embed(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = torch.nn.Embedding(10, 8), torch.nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        return torch.relu(self.layer(self.table(x)))


class _Erf(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.erf(x)


class _Written(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        y = torch.sigmoid(x)
        y[:, 0].add_(1.0)
        return y


class _Sum(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return torch.relu(x) + 1


@pytest.mark.parametrize(
    ("module", "sample", "parts"),
    [
        (_Lstm, torch.randn(1, 5, 4), ["aten::lstm.input: its kernel has no recurrence"]),
        (_Split, torch.randn(1, 3, 5, 5), ["aten::erf: ", "aten::gt.Scalar: ", "aten::where.self"]),
        (_Embed, torch.ones(1, 6, dtype=torch.int64), ["aten::embedding: ", "computes with int64"]),
        (_Sum, torch.ones(2, 3, dtype=torch.float64), ["nothing", "computes with float64"]),
        (_Sum, torch.ones(1, 1, 1, 2, 3), ["input x: it has 5 dimensions"]),
        (_Written, torch.randn(2, 3, 4), ["aten::select.int: it makes a view", "are copies"]),
        (_Erf, torch.randn(2, 3), ["nothing in this model runs on Vulkan", "aten::erf"]),
    ],
)
def test_what_vulkan_does_not_run_is_named(module: Any, sample: Any, parts: list[str]) -> None:
    content = lite(torch.jit.trace(module().eval(), sample))
    dtype = str(sample.dtype).removeprefix("torch.")
    with pytest.raises(ModelError) as caught:
        make(content, *sample.shape, dtype=dtype)
    for part in parts:
        assert part in caught.value.message
    assert "optimisation.backend=cpu" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("module", "sample", "counts"),
    [
        # One tensor goes to the CPU, one comes back; the slice stays on the GPU.
        (_Split, torch.randn(1, 3, 5, 5), (5, 3, 2)),
        (_Embed, torch.ones(1, 6, dtype=torch.int64), (2, 1, 1)),
        (_Lstm, torch.randn(1, 5, 4), (1, 1, 1)),
    ],
)
def test_a_model_is_split_when_that_is_wanted(module: Any, sample: Any, counts: Any) -> None:
    torch.manual_seed(0)
    made = module().eval()
    dtype = str(sample.dtype).removeprefix("torch.")
    content = lite(torch.jit.trace(made, sample))
    rewritten = make(content, *sample.shape, dtype=dtype, allow_cpu=True)
    split = rewritten.split
    assert split is not None
    assert (split.gpu, split.cpu, split.transfers) == counts
    program = read(rewritten.content)
    program.root.attributes.clear()
    with torch.no_grad():
        got = evaluator.run_method(program, sample.clone())
        assert torch.allclose(got, made(sample), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("module", "sample"),
    [(_Written, torch.randn(2, 3, 4)), (_Erf, torch.randn(2, 3))],
)
def test_what_no_transfer_helps_is_refused_always(module: Any, sample: Any) -> None:
    with pytest.raises(ModelError):
        make(lite(torch.jit.trace(module().eval(), sample)), *sample.shape, allow_cpu=True)


def test_a_model_for_vulkan_is_not_rewritten_for_another_backend() -> None:
    module, sample = ready("MobileBlock")
    content = make(lite(script_of(module, sample, "trace")), *sample.shape).content
    program = lift_program(parse_lite(content), SCHEMAS)
    with pytest.raises(ModelError, match="for Vulkan already"):
        rewrite(program, Optimisation(), Saving(), SCHEMAS)
