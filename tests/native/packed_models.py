"""Models of packed operators, and files whose packed weights are not what they should be."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.mobile_optimizer import optimize_for_mobile

from tests.fuzz.mutators import zips
from tests.fuzz.mutators.pickles import Name, Node, parse, render, walk

Change = Callable[[Node], Any]


def make_float_models() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Returns modules whose first operator is XNNPACK's, each with the sizes of its input."""
    torch.manual_seed(0)
    return {
        "conv": (nn.Conv2d(3, 4, 3), (1, 3, 8, 8)),
        "strided": (nn.Conv2d(3, 4, 3, stride=2, padding=1, dilation=2), (2, 3, 9, 7)),
        "depthwise": (nn.Conv2d(4, 4, 3, groups=4), (1, 4, 8, 8)),
        # So large that they are computed in bands, of which the last one repeats rows.
        "banded": (nn.Conv2d(3, 48, 7), (1, 3, 150, 140)),
        "stepped": (nn.Conv2d(4, 16, 5, stride=2, dilation=2), (1, 4, 306, 203)),
        "linear": (nn.Linear(4, 3), (2, 4)),
        "narrow": (nn.Linear(4, 48), (9, 4)),
        "transposed": (
            nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, output_padding=1),
            (1, 4, 8, 8),
        ),
    }


def make_quantised_models() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Returns modules of QNNPACK's operators: convolutions of each kind, linear ones of both."""
    torch.backends.quantized.engine = "qnnpack"
    torch.manual_seed(0)
    convolutions = nn.Sequential(
        torch.ao.quantization.QuantStub(),
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 8, 1),
        nn.ConvTranspose2d(8, 4, 3, stride=2),
        torch.ao.quantization.DeQuantStub(),
    ).eval()
    convolutions.qconfig = torch.ao.quantization.QConfig(
        activation=torch.ao.quantization.default_observer,
        weight=torch.ao.quantization.default_weight_observer,
    )
    torch.ao.quantization.prepare(convolutions, inplace=True)
    convolutions(torch.randn(1, 3, 16, 16))
    dynamic = torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.Linear(4, 3)).eval(), {nn.Linear}, dtype=torch.qint8
    )
    return {
        "convolutions": (torch.ao.quantization.convert(convolutions), (1, 3, 16, 16)),
        "dynamic": (dynamic, (2, 4)),
    }


class Rows(nn.Module):
    """Rows that are normalised, of a length that is no multiple of any vector's."""

    def __init__(self) -> None:
        super().__init__()
        self.whole, self.plain = nn.LayerNorm(1037), nn.LayerNorm(5, elementwise_affine=False)
        nn.init.normal_(self.whole.weight)
        nn.init.normal_(self.whole.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Takes rows of 1037 elements."""
        far = x + 100.0  # a mean that is large beside the deviation
        few = x[:, :3] * 50.0
        made = [self.whole(x), self.whole(far), self.plain(x[:, :5]), x.log_softmax(-1)]
        return torch.cat([*made, far.log_softmax(-1), few.log_softmax(-1), few.softmax(-1)], 1)


class Images(nn.Module):
    """What images look like in memory once their layout has changed."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Takes four dimensions."""
        last = x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
        first = x.permute(0, 3, 1, 2).contiguous()
        return torch.cat([last.reshape(-1), first.reshape(-1)])


class Steps(nn.Module):
    """An LSTM over a few steps."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.LSTM(5, 37)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Takes steps, a batch and 5 features."""
        return self.steps(x)[0]


def make_vector_models() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Returns modules of operators that are computed by vectors of the processor at hand."""
    torch.manual_seed(0)
    return {
        "rows": (Rows(), (7, 1037)),
        "pictures": (Images(), (2, 3, 33, 35)),
        "channels": (Images(), (1, 70, 9, 37)),
        "steps": (Steps(), (6, 2, 5)),
    }


class UnevenStates(nn.Module):
    """An LSTM of two layers whose cell state is of one: PyTorch itself reads what is not there."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Takes inputs of [5, 1, 4]."""
        states = [torch.zeros(2, 1, 3), torch.zeros(1, 1, 3)]
        weights = [torch.zeros(12, size) for size in (4, 3, 3, 3)]
        return torch.lstm(x, states, weights, False, 2, 0.0, False, False, False)[0]


class Unpacked(nn.Module):
    """A packed sequence back in its padded form; its input is the sizes of the batches."""

    def forward(self, sizes: torch.Tensor) -> torch.Tensor:
        """Takes at most five numbers, which do not grow."""
        return torch._pad_packed_sequence(torch.ones(5, 1), sizes, False, 0.0, 0)[0]


class Forgotten(nn.Module):
    """An operator on quantised tensors that gets floats, since nothing quantises them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Takes any floats."""
        return torch.ops.quantized.add(x, x, 1.0, 0)


def save_unchecked(module: nn.Module, path: Path) -> Path:
    """Writes the lite file of a module that is not run."""
    torch.jit.script(module.eval())._save_for_lite_interpreter(str(path))
    return path


def save(module: nn.Module, sizes: tuple[int, ...], path: Path) -> Path:
    """Writes the optimised lite file of a module."""
    traced = torch.jit.trace(module.eval(), torch.zeros(sizes))
    optimize_for_mobile(traced)._save_for_lite_interpreter(str(path))
    return path


def spoil(path: Path, change: Change, target: Path) -> Path:
    """Writes the file with its packed constants changed: `change` gets the state of the first.

    What it returns, if anything, are records to put in place of others, by their names.
    """
    entries = zips.unpack(path.read_bytes())
    root = Node("tuple", [parse(_read(path, "bytecode.pkl"))])
    *_, packed = (node for node in walk(root) if node.kind == "object")
    changed = change(packed.items[1])
    records = changed if isinstance(changed, dict) else {}
    records["bytecode.pkl"] = render(root.items[0])
    spoiled = [
        replace(entry, content=records.get(entry.name.decode().split("/", 1)[1], entry.content))
        for entry in entries
    ]
    target.write_bytes(zips.pack(spoiled))
    return target


def ints(*values: int) -> Node:
    """Returns a list of integers as TorchScript pickles it."""
    build = Name("torch.jit._pickle", "build_intlist")
    return Node("call", [build, Node("tuple", [Node("list", list(values))])])


def resize(tensor: Node, *sizes: int, strides: tuple[int, ...] | None = None) -> None:
    """Gives a pickled tensor other sizes, on the storage that it has."""
    contiguous = []
    step = 1
    for size in reversed(sizes):
        contiguous.insert(0, step)
        step *= max(size, 1)
    tensor.items[1].items[2] = Node("tuple", list(sizes))
    tensor.items[1].items[3] = Node("tuple", list(contiguous if strides is None else strides))


def _read(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        return next(
            archive.read(info) for info in archive.infolist() if info.filename.endswith(f"/{name}")
        )
