"""Models without operators, so that any runtime can run them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

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


class Numbers(nn.Module):
    """Takes groups of numbers, and looks at none."""

    def forward(self, a: list[int], b: dict[str, int]) -> int:
        """Returns 1."""
        return 1


class Sharing(nn.Module):
    """Returns one tensor of its own in three places; it holds 0, 1, 2 and so on up to 4095."""

    def __init__(self) -> None:
        super().__init__()
        self.own = torch.arange(4096).float()
        self.held = [self.own]

    def forward(self) -> tuple[torch.Tensor, list[torch.Tensor], dict[str, torch.Tensor]]:
        """Returns the tensor, the list that holds it, and a new dict of it."""
        return self.own, self.held, {"own": self.own}


class Giving(nn.Module):
    """Gives one tensor of its own away, and goes on writing to another one."""

    def __init__(self) -> None:
        super().__init__()
        self.given = torch.zeros(1000)
        self.kept = torch.ones(1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the tensor that it has, and takes `x` in its place."""
        before = self.given
        self.given = x
        self.kept.add_(x)
        return before


def write_overlapping(folder: Path) -> Path:
    """Writes `Giving` as a flatbuffer whose two storages have the same bytes."""
    path = folder / "overlapping.ptl"
    torch.jit.script(Giving())._save_for_lite_interpreter(str(path), _use_flatbuffer=True)
    data = bytearray(path.read_bytes())
    place = _follow(data, 0)
    table = place - struct.unpack_from("<i", data, place)[0]
    # storage_data is the seventh field of Module in mobile_bytecode.fbs.
    storages = _follow(data, place + struct.unpack_from("<H", data, table + 4 + 2 * 6)[0])
    one, other = storages + 4, storages + 8
    struct.pack_into("<I", data, other, _follow(data, one) - other)
    path.write_bytes(data)
    return path


def _follow(data: bytearray, at: int) -> int:
    return at + struct.unpack_from("<I", data, at)[0]


class Named(nn.Module):
    """Returns its input under two names."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns a dict."""
        return {"one": x, "two": x}


def write_mixed(folder: Path) -> Path:
    """Writes `Named` with bytecode that makes the number 7 of its first key."""
    from tests.fuzz.hostile import File

    path = folder / "mixed.ptl"
    torch.jit.script(Named())._save_for_lite_interpreter(str(path))
    file = File(path.read_bytes())
    constants = file.table("constants").items[1].items
    constants[constants.index("one")] = 7
    path.write_bytes(file.pack())
    return path


def write_numbers(folder: Path) -> Path:
    """Writes `Numbers`."""
    path = folder / "numbers.ptl"
    torch.jit.script(Numbers())._save_for_lite_interpreter(str(path))
    return path


def write_models(folder: Path) -> list[Path]:
    """Writes each as a zip and as a flatbuffer."""
    made = {"keeping": Keeping(), "tuples": KeepingInTuples(), "weights": Weights()}
    made |= {"sharing_weights": Sharing()}
    paths = []
    for name, module in made.items():
        scripted = torch.jit.script(module.eval())
        for kind in ("zip", "flatbuffer"):
            paths.append(folder / f"{name}_{kind}.ptl")
            flatbuffer = {"_use_flatbuffer": True} if kind == "flatbuffer" else {}
            scripted._save_for_lite_interpreter(str(paths[-1]), **flatbuffer)
    return paths


class PrintingItself(nn.Module):
    """Formats a list that holds itself."""

    def forward(self) -> str:
        """Returns a text without an end."""
        items: list[Any] = []
        items.append(items)
        return f"{items}"


def write_printing(folder: Path) -> Path:
    """Writes `PrintingItself`."""
    path = folder / "printing.ptl"
    torch.jit.script(PrintingItself())._save_for_lite_interpreter(str(path))
    return path
