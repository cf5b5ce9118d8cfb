"""Upstream's mobile test modules, imported from the source tree and scripted or traced."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.ao import quantization

FOLDER = "test/mobile/model_test"
SEED = 0
DISABLED = "dynamic_quant_ops"
"""Upstream's own list leaves it out, its class is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One test module."""

    name: str
    make: Callable[[], torch.nn.Module]
    trace: bool = False

    def script(self) -> torch.jit.ScriptModule:
        """Returns the module, scripted or traced as upstream does, with the same weights always."""
        torch.manual_seed(SEED)
        module = self.make()
        return torch.jit.trace(module, []) if self.trace else torch.jit.script(module)


def load_modules(tree: Path) -> tuple[Module, ...]:
    """Returns upstream's modules in upstream's order, then the quantised ones we add.

    Weights that upstream downloads stay as their constructors leave them: seeded, untrained.
    """
    upstream = _import_upstream(tree / FOLDER)
    _keep_random_weights()
    traced = set(upstream.models_need_trace)
    modules = [
        Module(name=name, make=_maker(entry), trace=name in traced)
        for name, entry in upstream.all_modules.items()
    ]
    disabled = importlib.import_module("quantization_ops").DynamicQuantModule
    modules.append(Module(name=DISABLED, make=lambda: disabled().getModule()))
    return (*modules, *_OURS)


def choose(modules: Iterable[Module], names: Iterable[str]) -> tuple[Module, ...]:
    """Returns the modules of these names, all when none is given; SystemExit for unknown ones."""
    known = {module.name: module for module in modules}
    names = list(names) or list(known)
    if unknown := sorted(set(names) - set(known)):
        sys.exit(f"no such module: {', '.join(unknown)}; known: {', '.join(known)}")
    return tuple(known[name] for name in names)


def _import_upstream(folder: Path) -> ModuleType:
    sys.dont_write_bytecode = True  # nothing is written to the source tree
    sys.path.insert(0, str(folder))
    return importlib.import_module("gen_test_model")


def _maker(entry: Any) -> Callable[[], torch.nn.Module]:  # noqa: ANN401 - upstream mixes both
    if isinstance(entry, torch.jit.ScriptModule):
        return lambda: entry
    if isinstance(entry, torch.nn.Module):
        return type(entry)
    return entry.getModule  # type: ignore[no-any-return]


def _keep_random_weights() -> None:
    from torchvision.models._api import WeightsEnum

    load = torch.nn.Module.load_state_dict
    WeightsEnum.get_state_dict = lambda *_, **__: None
    torch.nn.Module.load_state_dict = lambda self, state, *rest, **options: (
        None if state is None else load(self, state, *rest, **options)
    )


class _Dynamic(torch.nn.Module):
    """Dynamic quantisation of the layers that upstream supports on mobile."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        floating = torch.nn.ModuleDict(
            {
                "lstm": torch.nn.LSTM(4, 8, 2, bidirectional=True),
                "gru": torch.nn.GRU(4, 8),
                "linear": torch.nn.Linear(4, 5),
                "lstm_cell": torch.nn.LSTMCell(4, 8),
                "gru_cell": torch.nn.GRUCell(4, 8),
                "rnn_cell": torch.nn.RNNCell(4, 8),
            }
        )
        kinds = {type(layer) for layer in floating.values()}
        layers = quantization.quantize_dynamic(floating, kinds, dtype=dtype)
        self.lstm, self.gru, self.linear = layers["lstm"], layers["gru"], layers["linear"]
        self.lstm_cell, self.gru_cell = layers["lstm_cell"], layers["gru_cell"]
        self.rnn_cell = layers["rnn_cell"]

    def forward(self):  # noqa: ANN202 - TorchScript finds the type
        """Returns what each layer makes of the same numbers."""
        x = torch.linspace(-1.0, 1.0, 60).reshape(5, 3, 4)
        return (
            self.lstm(x),
            self.gru(x),
            self.linear(x),
            self.lstm_cell(x[0]),
            self.gru_cell(x[1]),
            self.rnn_cell(x[2]),
        )


class _Static(torch.nn.Module):
    """Convolutions and a linear layer to be quantised statically."""

    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv, self.depthwise = torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 8, 3, groups=8)
        self.linear = torch.nn.Linear(8, 4)

    def forward(self):  # noqa: ANN202 - TorchScript finds the type
        """Returns class scores of a fixed image."""
        x = self.quant(torch.linspace(-1.0, 1.0, 192).reshape(1, 3, 8, 8))
        return self.dequant(self.linear(self.depthwise(self.conv(x)).mean([2, 3])))


def _static(weights: Any) -> torch.nn.Module:  # noqa: ANN401 - an observer class
    model = _Static().eval()
    observer = quantization.MinMaxObserver.with_args(quant_min=0, quant_max=255)
    model.qconfig = quantization.QConfig(activation=observer, weight=weights)
    prepared = quantization.prepare(model)
    prepared()
    return quantization.convert(prepared)


_OURS = (
    Module(name="dynamic_qint8", make=lambda: _Dynamic(torch.qint8)),
    Module(name="dynamic_float16", make=lambda: _Dynamic(torch.float16)),
    Module(name="static_per_tensor", make=lambda: _static(quantization.default_weight_observer)),
    Module(
        name="static_per_channel",
        make=lambda: _static(quantization.default_per_channel_weight_observer),
    ),
)
