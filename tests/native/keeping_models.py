"""Models without operators that keep what they are given, or return what is theirs."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


class Keeping(nn.Module):
    """Returns the input of the call before."""

    def __init__(self) -> None:
        super().__init__()
        self.last = torch.zeros(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keeps its input."""
        before = self.last
        self.last = x
        return before


class KeepingInTuples(nn.Module):
    """Returns the input of the call before, which it keeps in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.last = (torch.zeros(1), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keeps its input."""
        before = self.last[0]
        self.last = (x, 2)
        return before


class Weights(nn.Module):
    """Returns 0, 1, 2 and so on up to 4095, which are its own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.arange(4096).float())

    def forward(self) -> torch.Tensor:
        """Returns a tensor of the model."""
        return self.weights


def write_models(folder: Path) -> list[Path]:
    """Writes each as a zip and as a flatbuffer."""
    made = {"keeping": Keeping(), "tuples": KeepingInTuples(), "weights": Weights()}
    paths = []
    for name, module in made.items():
        scripted = torch.jit.script(module.eval())
        for kind in ("zip", "flatbuffer"):
            paths.append(folder / f"{name}_{kind}.ptl")
            flatbuffer = {"_use_flatbuffer": True} if kind == "flatbuffer" else {}
            scripted._save_for_lite_interpreter(str(paths[-1]), **flatbuffer)
    return paths
