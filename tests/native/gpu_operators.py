"""Graphs that call each of Vulkan's kernels, to run on the GPU and on the CPU."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from builder.export.request import LiteFormat
from builder.export.rewrite_models import format_program
from builder.graph.program import Program
from builder.graph.tensor_arrays import to_tensor
from builder.lite.model import Argument
from builder.lite.objects import Device, ScriptObject
from builder.sources.schemas import load_schemas
from tests.unit.graph.writing import ramp, read_graph

SCHEMAS = load_schemas()


@dataclass(frozen=True, kw_only=True)
class Group:
    """Calls in one graph, whose results are compared between the devices."""

    inputs: Mapping[str, tuple[int, ...]]
    """Input -> its sizes. Elements are float32 between -2 and 2; those of `p` are positive."""
    calls: Sequence[str]
    """On the GPU: lines between semicolons, of which the last makes the result."""
    on_cpu: Mapping[str, str] = field(default_factory=dict)
    """What the CPU computes instead of a call."""
    constants: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-5
    """Of the largest element."""

    def on_gpu(self) -> Program:
        """Returns the model for the GPU."""
        return self._make(self.calls, Device("vulkan"), optimized_for_vulkan=True)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Writes the files for the GPU and for the CPU."""
        cpu = self._make([self.on_cpu.get(call, call) for call in self.calls], None)
        paths = folder / "gpu.ptl", folder / "cpu.ptl"
        for path, program in zip(paths, (self.on_gpu(), cpu), strict=True):
            path.write_bytes(format_program(program, LiteFormat.ZIP, SCHEMAS))
        return paths

    def _make(self, calls: Sequence[str], device: Device | None, **marks: bool) -> Program:
        name = "__torch__.Net.forward"
        graph = read_graph(self._write(calls), name=name, **self.constants, GPU=device)
        kind = f"Tuple[{', '.join(['Tensor'] * len(calls))}]"
        graph = dataclasses.replace(graph, results=(Argument("", kind),))
        root = ScriptObject("__torch__.Net", dict(marks))
        return Program(root=root, graphs={name: graph}, operator_version=10)

    def _write(self, calls: Sequence[str]) -> str:
        names = ", ".join(f"%{name}: Tensor" for name in self.inputs)
        lines, results = [f"(%self, {names})"], []
        for place, call in enumerate(calls):
            # What a call needs, such as a copy that it changes in place, has names of its own.
            *before, last = call.replace("%_", f"%c{place}_").split("; ")
            lines += [f"    {line}" for line in before]
            results.append(f"%r{place}")
            lines.append(f"    %r{place} = {last}")
        lines.append(f"    %all = prim::TupleConstruct({', '.join(results)})")
        return "\n".join((*lines, "    yield %all"))

    def fill(self) -> dict[str, np.ndarray]:
        """Returns the inputs."""
        random = np.random.default_rng(5)
        return {
            name: random.uniform(0.5 if name == "p" else -2, 2, sizes).astype(np.float32)
            for name, sizes in self.inputs.items()
        }


def _with_in_place(*calls: str) -> Iterator[str]:
    """Adds the forms in place, which change a copy."""
    for call in calls:
        yield call
        name, _, arguments = call.removesuffix(")").partition("(")
        base, dot, overload = name.partition(".")
        overload = overload.replace("Tensor_Scalar", "Scalar").replace("Tensor_Tensor", "Tensor")
        first, *rest = arguments.split(", ")
        changed = f"{base}_{dot}{overload}({', '.join(('%_c', *rest))})"
        yield f"%_c = aten::clone({first}, None); {changed}"


def _with_infinities(*calls: str) -> Iterator[str]:
    """Lets calls make %_r of %_i, infinite where the mask is set, and makes it finite."""
    for call in calls:
        for value in ("LEAST", "MOST") if "hardswish" not in call else ("MOST",):
            made = f"%_i = aten::masked_fill.Scalar(%x, MASK, {value})"
            yield f"{made}; {call}; aten::clamp(%_r, -9, 9)"


def _list(*items: str) -> str:
    return f"prim::ListConstruct({', '.join(items)}) @ {{'type': 'List[Tensor]'}}"


def _run(source: str, kind: str, context: str, rest: str = "") -> str:
    """Returns the call of a packed layer, with what makes its context."""
    made = f"%_c = vulkan_prepack::create_{kind}_context({context})"
    return f"{made}; vulkan_prepack::run_{kind}_context({source}{rest}, %_c)"


_IMAGE = (2, 5, 4, 3)
_CHANGING = (
    *("aten::abs(%x)", "aten::exp(%x)", "aten::gelu(%x, 'tanh')", "aten::hardsigmoid(%x)"),
    *("aten::hardswish(%x)", "aten::hardtanh(%x, -0.5, 0.7)", "aten::leaky_relu(%x, 0.1)"),
    *("aten::log(%p)", "aten::relu(%x)", "aten::sigmoid(%x)", "aten::sqrt(%p)", "aten::tanh(%x)"),
    *("aten::clamp(%x, -0.3, 0.4)", "aten::add.Tensor(%x, %y, 2)", "aten::add.Scalar(%x, 2, 3)"),
    *("aten::sub.Tensor(%x, %y, 2)", "aten::sub.Scalar(%x, 2, 3)", "aten::mul.Tensor(%x, %y)"),
    *("aten::mul.Scalar(%x, 0.3)", "aten::div.Tensor(%x, %p)", "aten::div.Scalar(%x, 0.3)"),
    *("aten::pow.Tensor_Scalar(%p, 1.5)", "aten::pow.Tensor_Tensor(%p, %x)"),
    *("aten::lerp.Scalar(%x, %y, 0.3)", "aten::lerp.Tensor(%x, %y, %p)"),
    "aten::floor_divide.Scalar(%x, 2)",
)
_WINDOWS = "[1, 1], [1, 1], [1, 1]"
_STATISTICS = "V, V, V, S, False, 0.1, 1e-05, False"
_LOGS = "%_n = aten::slice.Tensor(%x, 1, 0, 3, 1); %_a = aten::abs(%_n); %_l = aten::log(%_a); "
_LAYERS = {
    _run("%x", "conv2d", f"W, V, {_WINDOWS}, 1, -0.5, 0.5"): (
        f"%_a = aten::conv2d(%x, W, V, {_WINDOWS}, 1); aten::clamp(%_a, -0.5, 0.5)"
    ),
    f"%_c = vulkan_prepack::conv2d_clamp_prepack(W, V, {_WINDOWS}, 1, None, None); "
    "vulkan_prepack::conv2d_clamp_run(%x, %_c)": f"aten::conv2d(%x, W, V, {_WINDOWS}, 1)",
    # Each has a shader of its own.
    **{
        _run("%x", "conv2d", f"{weight}, V, {_WINDOWS}, {groups}, None, None"): (
            f"aten::conv2d(%x, {weight}, V, {_WINDOWS}, {groups})"
        )
        for weight, groups in (("P", 1), ("D", 8), ("D5", 8), ("D2", 8))
    },
    **{
        _run("%x", "conv2d", f"{weight}, V, [1, 1], [3, 3], [2, 2], {groups}, None, None"): (
            f"aten::conv2d(%x, {weight}, V, [1, 1], [3, 3], [2, 2], {groups})"
        )
        for weight, groups in (("W", 1), ("D", 8))
    },
    # Behind the third channel of a texel, log leaves what no weight makes 0.
    _LOGS + _run("%_l", "conv2d", f"N, V, {_WINDOWS}, 1, None, None"): (
        f"{_LOGS}aten::conv2d(%_l, N, V, {_WINDOWS}, 1)"
    ),
    _run("%x", "tconv2d", "T, V, [2, 2], [1, 1], [1, 1], [1, 1], 1, None, None"): (
        "aten::conv_transpose2d.input(%x, T, V, [2, 2], [1, 1], [1, 1], 1, [1, 1])"
    ),
    f"aten::convolution_overrideable(%x, W, V, {_WINDOWS}, False, [0, 0], 1)": (
        f"aten::conv2d(%x, W, V, {_WINDOWS}, 1)"
    ),
    _run("%x", "batchnorm", _STATISTICS): f"aten::batch_norm(%x, {_STATISTICS})",
    f"aten::batch_norm(%x, {_STATISTICS})": "",
    _run("%s", "conv1d", "C, U, [1], [1], [1], 2"): "aten::conv1d(%s, C, U, [1], [1], [1], 2)",
    "aten::conv1d(%s, C, U, [1], [1], [1], 2)": "",
    _run(
        "%x", "layernorm", "F, F, 1e-05", ", [6]"
    ): "aten::layer_norm(%x, [6], F, F, 1e-05, False)",
    "aten::layer_norm(%x, [6], F, F, 1e-05, False)": "",
    "%_a, %_m, %_d = aten::native_layer_norm(%x, [6], F, F, 1e-05); aten::clone(%_a, None)": "",
    _run("%s", "linear", "L, E"): "%_t = aten::t(L); aten::linear(%s, %_t, E)",
}
_LAYER = "True, 1, 0.0, False, False, True"
_LSTM = f"%_p = {_list('I', 'H', 'B', 'B')}; %_s = {_list('%h', '%h')}; "
_GRU = f"%_p = {_list('J', 'K', 'G', 'G')}; "
_STEPS = {
    f"{_LSTM}%_a, %_b, %_c = {call}; aten::sub.Tensor(%_b, %_c, 2)": ""
    for call in (f"aten::lstm.input(%s, %_s, %_p, {_LAYER})",)
} | {f"{_GRU}%_a, %_b = aten::gru.input(%s, %h, %_p, {_LAYER}); aten::sub.Tensor(%_b, %h, 2)": ""}
_LSTM_CALL, _GRU_CALL = _STEPS
_STEPS |= {
    f"{_LSTM}%_k = vulkan_prepack::create_lstm_context(%_p, {_LAYER}); "
    "%_a, %_b, %_c = vulkan_prepack::run_lstm_context(%s, %h, %h, %_k); "
    "aten::sub.Tensor(%_b, %_c, 2)": _LSTM_CALL,
    f"{_GRU}%_k = vulkan_prepack::create_gru_context(%_p, {_LAYER}); "
    "%_a, %_b = vulkan_prepack::run_gru_context(%s, %h, %_k); "
    "aten::sub.Tensor(%_b, %h, 2)": _GRU_CALL,
}
_MADE = {
    "%_f = aten::zeros([2, 3], None, None, GPU, None); aten::add.Scalar(%_f, 3, 1)": "",
    "%_e = aten::empty.memory_format([2, 3], None, None, GPU, None, None); aten::zero_(%_e)": "",
    "%_e = aten::empty_strided([2, 3], [3, 1], None, None, GPU, None); aten::zero_(%_e)": "",
    # Random numbers, but not after the rounding.
    "%_c = aten::clone(%x, None); %_u = aten::uniform_(%_c, 2.1, 2.9, None); "
    "aten::floor_divide.Scalar(%_u, 1)": "",
    "%_c = aten::clone(%x, None); %_u = aten::normal_(%_c, 7.5, 0.001, None); "
    "aten::floor_divide.Scalar(%_u, 5)": "",
    "%_u = aten::rand_like(%x, None, None, None, None, None); "
    "aten::floor_divide.Scalar(%_u, 2)": "",
    "%_u = aten::randn_like(%x, None, None, None, None, None); %_m = aten::mul.Scalar(%_u, 0.0); "
    "aten::abs(%_m)": "",
    "%_s = aten::sum(%x, None); %_n: number = aten::_local_scalar_dense(%_s); "
    "aten::mul.Scalar(%x, %_n)": "",
}
_X = "%_x = aten::quantize_per_tensor(%x, 0.05, 100, 13); "
_P = "%_y = aten::quantize_per_tensor(%p, 0.05, 100, 13); "
_BACK = "; aten::dequantize.self(%_z)"
_FLOAT = "%_f = aten::dequantize.self(%_x); "
_AGAIN = "; %_z = aten::quantize_per_tensor(%_r, 0.1, 90, 13)" + _BACK
_WEIGHT = "%_w = aten::quantize_per_tensor({}, 0.02, 50, 13); "
_REAL = _X + _FLOAT + _WEIGHT + "%_v = aten::dequantize.self(%_w); "
_QUANTISED = {
    _X.replace("%_x", "%_z").rstrip("; ") + _BACK: "",
    "%_z = aten::quantize_per_tensor.tensor_qparams(%x, SCALE, ZERO, 13)" + _BACK: "",
    _X + "%_s: float = aten::q_scale(%_x); aten::mul.Scalar(%x, %_s)": "",
    _X + "%_s: int = aten::q_zero_point(%_x); aten::mul.Scalar(%x, %_s)": "",
    "%_z = aten::_empty_affine_quantized([2, 3], 13, None, GPU, None, 0.5, 7, None); "
    "%_s: float = aten::q_scale(%_z); aten::mul.Scalar(%x, %_s)": "aten::mul.Scalar(%x, 0.5)",
    **{
        f"{_X}{_P}%_z = vulkan_quantized::{name}(%_x, %_y, 0.1, 90){_BACK}": (
            f"{_X}{_P}{_FLOAT}%_g = aten::dequantize.self(%_y); "
            f"%_r = aten::{name}.Tensor(%_f, %_g{rest}){_AGAIN}"
        )
        for name, rest in (("add", ", 1"), ("sub", ", 1"), ("mul", ""), ("div", ""))
    },
    f"{_X}{_WEIGHT.format('W')}"
    f"%_c = vulkan_prepack::create_qconv2d_context(%_w, V, {_WINDOWS}, 1, None, None); "
    f"%_z = vulkan_prepack::run_qconv2d_context(%_x, 0.1, 90, %_c){_BACK}": (
        f"{_REAL.format('W')}%_r = aten::conv2d(%_f, %_v, V, {_WINDOWS}, 1){_AGAIN}"
    ),
    f"{_X}{_WEIGHT.format('W')}%_c = vulkan_prepack::create_qtconv2d_context(%_w, V, [1, 1], "
    "[1, 1], [0, 0], [1, 1], 1, None, None); "
    f"%_z = vulkan_prepack::run_qconv2d_context(%_x, 0.1, 90, %_c){_BACK}": (
        f"{_REAL.format('W')}%_r = aten::conv_transpose2d.input(%_f, %_v, V, "
        f"[1, 1], [1, 1], [0, 0], 1, [1, 1]){_AGAIN}"
    ),
}


def _exchange(calls: Mapping[str, str]) -> Mapping[str, str]:
    return {gpu: cpu for gpu, cpu in calls.items() if cpu}


GROUPS = {
    "elements": Group(
        inputs={"x": _IMAGE, "y": _IMAGE, "p": _IMAGE},
        calls=(
            *_with_in_place(*_CHANGING),
            *("aten::hardshrink(%x, 0.3)", "aten::threshold(%x, 0.2, 3.0)"),
            *("aten::pow.Scalar(1.5, %x)", "aten::floor_divide(%x, %p)"),
            "%_c = aten::clone(%x, None); aten::floor_divide_.Tensor(%_c, %p)",
            *(
                "aten::masked_fill.Scalar(%x, MASK, 2.5)",
                "aten::masked_fill.Tensor(%x, MASK, FILL)",
            ),
            "%_s = aten::mul.Scalar(%p, 1e-8); %_q = aten::div.Tensor(%x, %_s); "
            "aten::mul.Scalar(%_q, 1e-8)",
            *(
                f"%_f = aten::floor_divide.Scalar(%x, 1); %_m = aten::mul.Scalar(%_f, {by}); {call}"
                for by in (41, -7)
                for call in (
                    f"aten::floor_divide.Scalar(%_m, {by})",
                    f"%_n = aten::mul.Scalar(%_f, 0); %_d = aten::add.Scalar(%_n, {by}, 1); "
                    "aten::floor_divide(%_m, %_d)",
                    f"aten::floor_divide_.Scalar(%_m, {by})",
                )
            ),
            *_with_infinities(
                *("%_r = aten::clone(%_i, None)", "%_r = aten::hardswish(%_i)"),
                *("%_r = aten::hardswish_(%_i)", "%_r = aten::threshold(%_i, 0.2, 3.0)"),
            ),
        ),
        constants={
            "LEAST": -math.inf,
            "MOST": math.inf,
            "MASK": to_tensor(np.arange(12).reshape(4, 3) % 2 == 0),
            "FILL": to_tensor(np.array(2.5, np.float32)),
        },
    ),
    "shapes": Group(
        inputs={"x": _IMAGE, "y": _IMAGE, "m": (5, 3), "v": (4, 1, 3)},
        calls=(
            *(f"aten::select.int(%x, {dim}, -1)" for dim in (0, 1, 2, -1)),
            *(f"aten::select.int(%v, {dim}, 0)" for dim in (0, -2, 2)),
            *(f"aten::slice.Tensor(%x, {dim}, 1, 9, 1)" for dim in range(4)),
            *(f"aten::flip(%x, [{dim}])" for dim in range(4)),
            *(f"aten::cumsum(%x, {dim}, None)" for dim in range(4)),
            *(f"%_l = {_list('%x', '%y')}; aten::cat(%_l, {dim})" for dim in range(4)),
            *(f"%_l = {_list('%v', '%v')}; aten::stack(%_l, {dim})" for dim in range(4)),
            *("aten::permute(%x, [3, 0, 2, 1])", "aten::transpose.int(%x, 1, -1)", "aten::t(%m)"),
            *("aten::view(%x, [5, 8, 3])", "aten::_reshape_alias(%x, [40, 3], [3, 1])"),
            *(f"aten::unsqueeze(%v, {dim})" for dim in range(4)),
            *("aten::expand(%v, [2, 4, 5, 3], False)", "aten::repeat(%v, [2, 1, 3, 2])"),
            "%_w = aten::expand(%v, [4, 6, 3], False); aten::expand_as(%v, %_w)",
            *("aten::tile(%v, [2, 3])", "aten::clone(%x, None)"),
        ),
    ),
    "sums": Group(
        inputs={"x": _IMAGE, "m": (5, 3), "v": (7,)},
        calls=(
            *(
                f"aten::{name}(%x, {dims}, {kept}, None)"
                for name in ("mean.dim", "sum.dim_IntList")
                for dims in ("[0]", "[1]", "[2]", "[-1]", "[1, 2]", "[0, 1, 2, 3]", "[]")
                for kept in (True, False)
            ),
            *(f"aten::var.dim(%x, {dims}, True, True)" for dims in ("[1]", "[2, 3]", "[]")),
            *("aten::var.dim(%x, [1, 2], False, False)", "aten::sum(%x, None)"),
            *("aten::mean(%x, None)", "aten::mean.dim(%v, [0], False, None)"),
            *(
                f"aten::{name}(%{given}, {dim}, False)"
                for name in ("_softmax", "_log_softmax")
                for given, dims in (("x", (0, 1, 2, 3)), ("m", (0, 1)), ("v", (0,)))
                for dim in dims
            ),
        ),
    ),
    "pools": Group(
        inputs={"x": (2, 8, 7, 9), "g": (2, 16, 3, 4)},
        calls=(
            *(f"aten::_adaptive_avg_pool2d(%x, {n})" for n in ("[1, 1]", "[3, 2]", "[5, 4]")),
            *(
                f"aten::avg_pool2d(%x, [3, 2], [2, 2], [1, 1], {ceil}, {counted}, None)"
                for ceil in (True, False)
                for counted in (True, False)
            ),
            *(
                f"aten::max_pool2d(%x, [3, 2], [2, 2], [1, 1], [{dilation}, 1], {ceil})"
                for ceil in (True, False)
                for dilation in (1, 2)
            ),
            "aten::reflection_pad2d(%x, [1, 2, 3, 0])",
            "aten::replication_pad2d(%x, [1, 2, 3, 0])",
            "aten::upsample_nearest2d(%x, [14, 12], None, None)",
            "aten::upsample_bilinear2d(%x, [14, 12], False, None, None)",
            "aten::upsample_bilinear2d(%x, [14, 12], True, None, None)",
            "aten::upsample_bilinear2d(%x, [1, 12], True, None, None)",
            "aten::upsample_bilinear2d(%x, [14, 1], True, None, None)",
            "aten::glu(%g, 1)",
        ),
    ),
    "matrices": Group(
        inputs={"x": (5, 6), "y": (6, 3), "z": (5, 3), "a": (2, 5, 6), "b": (2, 6, 3)},
        calls=(
            *("aten::mm(%x, %y)", "aten::addmm(%z, %x, %y, 0.5, 2)", "aten::bmm(%a, %b)"),
            "%_c = aten::unsqueeze(%z, 0); aten::baddbmm(%_c, %a, %b, 0.5, 2)",
        ),
    ),
    "layers": Group(
        # A batch: kernels once computed its first image alone.
        inputs={"x": (2, 8, 5, 6), "s": (2, 4, 10)},
        calls=tuple(_LAYERS),
        on_cpu=_exchange(_LAYERS),
        constants={
            "W": ramp(8, 8, 3, 3),
            "N": ramp(8, 3, 3, 3),
            "P": ramp(8, 8, 1, 1),
            "D": ramp(8, 1, 3, 3),
            "D5": ramp(8, 1, 5, 5),
            "D2": ramp(8, 1, 2, 2),
            "T": ramp(8, 8, 3, 3),
            "V": ramp(8),
            "S": to_tensor(np.linspace(0.5, 2, 8, dtype=np.float32)),
            "F": ramp(6),
            "C": ramp(6, 2, 3),
            "U": ramp(6),
            "L": ramp(10, 3),
            "E": ramp(3),
        },
    ),
    "steps": Group(
        inputs={"s": (2, 1, 4), "h": (1, 2, 3)},
        calls=tuple(_STEPS),
        on_cpu=_exchange(_STEPS),
        constants={
            "I": ramp(12, 4),
            "H": ramp(12, 3),
            "B": ramp(12),
            "J": ramp(9, 4),
            "K": ramp(9, 3),
            "G": ramp(9),
        },
    ),
    "made": Group(inputs={"x": (3, 4)}, calls=tuple(_MADE)),
    "quantised": Group(
        inputs={"x": (2, 8, 5, 6), "p": (2, 8, 5, 6)},
        calls=tuple(_QUANTISED),
        on_cpu=_exchange(_QUANTISED),
        constants={
            "SCALE": to_tensor(np.array(0.05, np.float32)),
            "W": ramp(8, 8, 3, 3),
            "ZERO": to_tensor(np.array(100, np.int32)),
            "V": ramp(8),
        },
        # One step of the quantisation: a number between two of them may be rounded either way.
        tolerance=0.03,
    ),
}
