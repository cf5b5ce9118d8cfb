"""Writes the small model files of tests/data/models, and what torch says of each.

Run with PyTorch 1.13.1, whose build has XNNPACK, QNNPACK and flatbuffers:
`python tests/data/make_models.py`. Tests with torch import the builders of models from here.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Dict, List, Tuple  # noqa: UP035 - the TorchScript of torch 1.13 reads these

import torch
from torch import nn
from torch.jit.mobile import _export_operator_list, _load_for_lite_interpreter

ALIGNMENT = 64
"""Of every record in an archive (caffe2/serialize/inline_container.cc)."""
FOLDER = Path(__file__).parent / "models"


class Conv(nn.Module):
    """A convolution and a linear layer, as image models have them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.linear = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv(x))
        return self.linear(x.mean([2, 3]))


class Quantised(nn.Module):
    """Conv, add and linear between quantise and dequantise."""

    def __init__(self) -> None:
        super().__init__()
        self.quant = torch.quantization.QuantStub()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.linear = nn.Linear(4, 2)
        self.add = nn.quantized.FloatFunctional()
        self.dequant = torch.quantization.DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(self.quant(x))
        x = self.add.add(x, self.second(x))
        return self.dequant(self.linear(x.mean([2, 3])))


class Recurrent(nn.Module):
    """An LSTM over a batch of sequences."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 3, num_layers=2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lstm(x)[0]


class Control(nn.Module):
    """Loops, branches, dictionaries, strings and several methods."""

    def __init__(self) -> None:
        super().__init__()
        self.words: Dict[str, int] = {"one": 1, "two": 2}  # noqa: UP006
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, text: str, x: torch.Tensor) -> Dict[str, torch.Tensor]:  # noqa: UP006
        result: Dict[str, torch.Tensor] = {}  # noqa: UP006
        for word in text.lower().split(" "):
            if word in self.words:
                count = self.words[word]
                while count > 0:
                    x = x * self.scale
                    count -= 1
                result[word + "!"] = x
        return result

    @torch.jit.export
    def lengths(self, texts: List[str]) -> List[int]:  # noqa: UP006
        return [len(text) for text in texts]

    @torch.jit.export
    def decide(self, x: torch.Tensor) -> int:
        return 1 if bool(torch.sigmoid(x).sum() > 0.5) else 0


class Sum(nn.Module):
    """One addition."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


class Hooked(nn.Module):
    """Hooks on itself and on a part, each with an operator of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Sum()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.part(x) * 2


def before(self: nn.Module, inputs: Tuple[torch.Tensor]) -> Tuple[torch.Tensor]:  # noqa: UP006
    """Runs before forward."""
    del self
    return (torch.cos(inputs[0]),)


def after(
    self: nn.Module,
    inputs: Tuple[torch.Tensor],  # noqa: UP006
    output: torch.Tensor,
) -> torch.Tensor:
    """Runs after forward."""
    del self, inputs
    return torch.tanh(output)


def make_conv() -> torch.jit.ScriptModule:
    """Returns the traced, optimised convolution: XNNPACK's operators and classes."""
    from torch.utils.mobile_optimizer import optimize_for_mobile

    model = torch.jit.trace(Conv().eval(), torch.zeros(1, 3, 8, 8))
    return optimize_for_mobile(model)


def make_quantised() -> torch.jit.ScriptModule:
    """Returns the statically quantised model for QNNPACK."""
    torch.backends.quantized.engine = "qnnpack"
    model = Quantised().eval()
    torch.quantization.fuse_modules(model, [["first.0", "first.1"]], inplace=True)
    model.qconfig = torch.quantization.get_default_qconfig("qnnpack")
    torch.quantization.prepare(model, inplace=True)
    model(torch.randn(2, 3, 8, 8))
    torch.quantization.convert(model, inplace=True)
    return torch.jit.trace(model, torch.zeros(1, 3, 8, 8))


def make_recurrent() -> torch.jit.ScriptModule:
    """Returns the traced LSTM."""
    return torch.jit.trace(Recurrent().eval(), torch.zeros(1, 5, 4))


def make_control() -> torch.jit.ScriptModule:
    """Returns the scripted control flow with three methods."""
    return torch.jit.script(Control().eval())


def make_hooked() -> torch.jit.ScriptModule:
    """Returns the module with hooks."""
    model = Hooked().eval()
    model.register_forward_pre_hook(before)
    model.part.register_forward_hook(after)
    return torch.jit.script(model)


MODELS: dict[str, Callable[[], torch.jit.ScriptModule]] = {
    "control": make_control,
    "conv": make_conv,
    "hooked": make_hooked,
    "lstm": make_recurrent,
    "quantised": make_quantised,
}


def strip_debug_records(path: Path) -> None:
    """Removes source locations, which name files of this machine; alignment stays torch's."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in records.items():
            if name.endswith(".debug_pkl"):
                continue
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            padding = -(archive.start_dir + 30 + len(name) + 4) % ALIGNMENT
            info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            archive.writestr(info, content)


def list_operators(path: Path) -> list[str]:
    """Returns what torch itself reports for a lite file."""
    return sorted(_export_operator_list(_load_for_lite_interpreter(str(path))))


def main() -> None:
    """Writes all files."""
    FOLDER.mkdir(exist_ok=True)
    recorded = {}
    for name, make in MODELS.items():
        torch.manual_seed(7)
        module = make()
        for flatbuffer in (False, True):
            path = FOLDER / f"{name}{'_flatbuffer' if flatbuffer else ''}.ptl"
            module._save_for_lite_interpreter(str(path), _use_flatbuffer=flatbuffer)
            if not flatbuffer:
                strip_debug_records(path)
            recorded[path.name] = list_operators(path)
    torch.jit.save(make_control(), str(FOLDER / "control.pt"))
    strip_debug_records(FOLDER / "control.pt")
    torch.save(Conv().state_dict(), FOLDER / "state_dict.pt")
    torch.save(
        Conv().state_dict(), FOLDER / "old_state_dict.pt", _use_new_zipfile_serialization=False
    )
    text = json.dumps(recorded, indent=2, sort_keys=True)
    (FOLDER / "operators.json").write_text(text + "\n")
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
